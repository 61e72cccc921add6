"""What the contract shows of accounts."""

USER = {
    "id": 1,
    "username": "admin",
    "email": "admin@rotc.example",
    "first_name": "Amina",
    "last_name": "Dimaporo",
    "role": "admin",
    "status": "approved",
}
TOKENS = {"access": "eyJhbGciOi…", "refresh": "eyJhbGciOi…"}
ACCOUNT = {
    "id": 42,
    "username": "liza.macaraeg",
    "email": "liza@rotc.example",
    "first_name": "Liza",
    "last_name": "Macaraeg",
    "role": "cadet",
    "status": "pending",
    "archived_at": None,
    "created_at": "2026-08-22T01:15:04.812Z",
    "updated_at": "2026-08-22T01:15:04.812Z",
    "last_login": None,
    "version": 1,
}
APPROVED = {**ACCOUNT, "status": "approved", "updated_at": "2026-08-22T02:00:00.105Z", "version": 2}
ARCHIVED = {**APPROVED, "archived_at": "2026-08-23T02:00:00.105Z", "version": 3}
INVITATION = {
    "link": "https://rotc.example/invitation/#token=3q2-7wAAAAB…",
    "expires_at": "2026-08-25T01:15:04.812Z",
    "emailed": False,
    "reason": "E-mail is not set up: EMAIL_URL is not set.",
}
REGISTERED = {name: ACCOUNT[name] for name in USER}
AUDIT_ENTRY = {
    "id": 9120,
    "at": "2026-08-22T02:00:00.105Z",
    "actor": {"id": 1, "username": "admin"},
    "action": "user.approve",
    "target": "user:42",
    "before": {"status": "pending"},
    "after": {"status": "approved"},
    "request_id": "5f0c7d0d3b0f4c39a4a1f0d1b6a9c2e4",
}
