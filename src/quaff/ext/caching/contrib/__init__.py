"""Stores for one server or one provider only: uWSGI's memory, and Google Cloud Storage."""
