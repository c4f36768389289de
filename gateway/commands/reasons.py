"""Why something could not be done, in one line for an operator."""

__all__ = ["reason_of"]


def reason_of(error: BaseException | None) -> str:
    """The error and what it comes from: the outer says what could not be done, the inner why; nothing twice."""
    said: list[str] = []
    while error is not None:
        line = _line(error)
        if line and not any(line in other for other in said):
            said.append(line)
        error = error.__cause__
    return ": ".join(said)


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next(iter(str(error).splitlines()), "")
