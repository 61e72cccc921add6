from typing import Any


def fields_of(answer: Any) -> dict[str, str]:
    """field -> code of an answer that names fields to correct."""
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def problem_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
