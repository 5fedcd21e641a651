"""Click parameter types: certificates and lists of paths."""

from __future__ import annotations

from typing import Any, ClassVar

import click
from werkzeug.utils import import_string


# Generic since Click 8.4 only; older versions cannot be subscripted.
class CertParamType(click.ParamType):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    """The value of `--cert`: a file, the word `adhoc`, or the import name of an `ssl.SSLContext`."""

    name: ClassVar[str] = "path"  # type: ignore[misc]

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path, `adhoc`, or a context.

        :raises click.BadParameter: for anything else, and where Python has no TLS.
        """
        try:
            import ssl
        except ImportError:
            raise click.BadParameter('"--cert" needs a Python that was built with TLS.', ctx, param) from None
        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            text = click.STRING(value, param, ctx)
            if text.lower() == "adhoc":
                _need_cryptography(ctx, param)
                return "adhoc"
            found = import_string(text, silent=True)
            if isinstance(found, ssl.SSLContext):
                return found
            raise


def _need_cryptography(ctx: click.Context | None, param: click.Parameter | None) -> None:
    try:
        import cryptography  # noqa: F401 - Werkzeug makes the certificate with it
    except ImportError:
        message = "An ad-hoc certificate needs the package 'cryptography'. Install it with: pip install cryptography"
        raise click.BadParameter(message, ctx, param) from None


def _validate_key(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Check that `--key` is there exactly when `--cert` is a file, and make the two a pair.

    :raises click.BadParameter: when it is missing, or has nothing to belong to.
    """
    cert = ctx.params.get("cert")
    alone = cert == "adhoc" or (cert is not None and not isinstance(cert, str))
    if value is None:
        if cert and not alone:
            raise click.BadParameter('Required when using "--cert" with a file.', ctx, param)
        return value
    if not cert:
        raise click.BadParameter('"--cert" must also be specified.', ctx, param)
    if alone:
        kind = '"adhoc"' if cert == "adhoc" else "an SSLContext object"
        raise click.BadParameter(f'When "--cert" is {kind}, "--key" is not used.', ctx, param)
    ctx.params["cert"] = cert, value
    return value


class SeparatedPathType(click.Path):
    """Several paths in one value, separated as in `PATH`: by `:`, on Windows by `;`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the list of paths, each checked as `click.Path` does. Empty ones are left out."""
        convert = super().convert
        return [convert(item, param, ctx) for item in self.split_envvar_value(value) if item]


class OctalType(click.ParamType):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    """Permissions as `chmod` takes them: `660`."""

    name: ClassVar[str] = "octal"  # type: ignore[misc]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        :raises click.BadParameter: for text that is not an octal number up to 777.
        """
        if isinstance(value, int):
            return value
        try:
            number = int(value, 8)
        except ValueError:
            number = -1
        if not 0 <= number <= 0o777:
            self.fail(f"{value!r} is not octal permissions such as 660.", param, ctx)
        return number
