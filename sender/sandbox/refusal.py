"""What the API says no with: a status and a JSON body that begins with `error`."""

from collections.abc import Mapping

from aiohttp import web


class Refusal(Exception):
    """A call that is not done, with the reply that says so."""

    def __init__(
        self, status: int, error: str, /, *, headers: Mapping[str, str] | None = None, **details: object
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = headers or {}
        self.details = details

    def response(self) -> web.Response:
        """The reply: `{"error": "...", ...}` under this refusal's status."""
        body = {"error": str(self), **self.details}
        return web.json_response(body, status=self.status, headers=self.headers)


def unprocessable(field: str, error: str) -> Refusal:
    """A 422 that names the field at fault."""
    return Refusal(422, error, field=field)
