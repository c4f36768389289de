"""The rules of a mailbox, in their order."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from gateway.points.rules import Action, Condition, Field, Outcome, Rule
from gateway.storage.ruled import note_ruled
from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import rules
from gateway.storage.values import clean

__all__ = ["add_rule", "list_rules", "remove_rule", "rules_of"]

_ADD = insert_into(rules, returning="id")
_LIST = Statement(
    select(rules.c.id, rules.c.conditions, rules.c.actions, rules.c.stop)
    .where(rules.c.mailbox_id == bindparam("mailbox"))
    .order_by(rules.c.position, rules.c.id)
)
_LAST = Statement(
    select(func.coalesce(func.max(rules.c.position), 0)).where(rules.c.mailbox_id == bindparam("mailbox"))
)
_REMOVE = Statement(delete(rules).where(rules.c.mailbox_id == bindparam("mailbox"), rules.c.id == bindparam("rule")))


def list_rules(connection: Connection, mailbox_id: int) -> list[tuple[int, Rule]]:
    """The rules of a mailbox with their ids, in the order in which they are asked."""
    return [(row[0], _rule(row)) for row in _LIST.all(connection, {"mailbox": mailbox_id})]


def rules_of(connection: Connection, mailbox_ids: Iterable[int]) -> dict[int, list[Rule]]:
    """The rules of several mailboxes."""
    return {each: [rule for _, rule in list_rules(connection, each)] for each in mailbox_ids}


def add_rule(connection: Connection, mailbox_id: int, rule: Rule) -> int:
    """Add a rule behind the others; its id."""
    last = _LAST.one(connection, {"mailbox": mailbox_id})
    row = _ADD.one(
        connection,
        {
            "mailbox_id": mailbox_id,
            "position": 1 if last is None else last[0] + 1,
            "conditions": json.dumps([[one.field.value, clean(one.value)] for one in rule.conditions]),
            "actions": json.dumps([[one.outcome.value, clean(one.value)] for one in rule.actions]),
            "stop": rule.stop,
        },
    )
    assert row is not None
    note_ruled(connection, mailbox_id)
    return int(row[0])


def remove_rule(connection: Connection, mailbox_id: int, rule_id: int) -> bool:
    """Remove a rule of this mailbox; False if it has none with this id."""
    removed = _REMOVE.run(connection, {"mailbox": mailbox_id, "rule": rule_id}) == 1
    if removed:
        note_ruled(connection, mailbox_id)
    return removed


def _rule(row: tuple[Any, ...]) -> Rule:
    return Rule(
        conditions=tuple(Condition(Field(field), value) for field, value in json.loads(row[1])),
        actions=tuple(Action(Outcome(outcome), value) for outcome, value in json.loads(row[2])),
        stop=bool(row[3]),
    )
