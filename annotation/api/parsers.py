import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from annotation.errors import InvalidInput


class BodyTooLarge(InvalidInput):
    code = "body_too_large"
    status = 413


class StrictJsonParser(BaseParser):
    """JSON as in RFC 8259: UTF-8, no NaN. Deep nesting is a client's error, not ours."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        text = read_text(stream)
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except RecursionError:
            raise ParseError("The JSON is nested too deep.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}.") from None


class JsonLinesParser(BaseParser):
    """JSON Lines; the lines are read by the service, which knows how to name a bad one."""

    media_type = "application/x-ndjson"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        return {"text": read_text(stream)}


def read_text(stream: IO[bytes]) -> str:
    """The whole body as UTF-8. Raises BodyTooLarge, ParseError."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(
            f"The body is larger than {limit} bytes; send it in parts.", maximum=limit
        )
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: {error}.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
