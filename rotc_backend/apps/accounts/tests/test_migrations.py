import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)
RELEASED, PRESENT = [("accounts", "0001_initial")], [("accounts", "0002_invitations_and_lockout")]


def test_the_accounts_of_the_previous_release_are_taken_over_and_it_may_go_on_writing() -> None:
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    try:
        executor.migrate(RELEASED)
        old = executor.loader.project_state(RELEASED).apps
        account = old.get_model("accounts", "User").objects.create(username="Liza", password="argon2$x", role="cadet")
        old.get_model("accounts", "AuditEntry").objects.create(actor=account, action="user.create", target="user:1")

        executor = MigrationExecutor(connection)
        executor.migrate(PRESENT)
        new = executor.loader.project_state(PRESENT).apps.get_model("accounts", "User")
        taken = new.objects.get(username="Liza")
        assert (taken.version, taken.password, taken.role) == (1, "argon2$x", "cadet")
        assert taken.updated_at is not None
        # Its processes run until the new ones are up, and know nothing of the new columns.
        old.get_model("accounts", "User").objects.create(username="Omar", password="argon2$x")
        assert new.objects.get(username="Omar").version == 1
    finally:
        MigrationExecutor(connection).migrate(newest)
        connection.cursor().execute("TRUNCATE accounts_user CASCADE")
