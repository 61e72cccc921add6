-- Rows as the release 1.0.0 wrote them. Every password is "correct horse battery staple", hashed as it did.
INSERT INTO accounts_user (id, password, last_login, username, email, first_name, last_name, role, status, archived_at, created_at, token_version) VALUES
    (11, 'argon2$argon2id$v=19$m=19456,t=2,p=1$Wmt4VGIzTjJZWEpIYzBwUQ$/9sMFhpPptSRJCWi2MQSM1DC1aWl2ldXSvRxIi0aIFk', '2026-03-01 01:00:00Z', 'amina', 'amina@rotc.example', 'Amina', 'Dimaporo', 'admin', 'approved', NULL, '2026-01-05 00:00:00Z', 1),
    (12, 'argon2$argon2id$v=19$m=19456,t=2,p=1$Wmt4VGIzTjJZWEpIYzBwUQ$/9sMFhpPptSRJCWi2MQSM1DC1aWl2ldXSvRxIi0aIFk', '2026-03-01 02:00:00Z', 'ramon', 'ramon@rotc.example', 'Ramon', 'Villanueva', 'training_staff', 'approved', NULL, '2026-01-06 00:00:00Z', 2),
    (13, 'argon2$argon2id$v=19$m=19456,t=2,p=1$Wmt4VGIzTjJZWEpIYzBwUQ$/9sMFhpPptSRJCWi2MQSM1DC1aWl2ldXSvRxIi0aIFk', NULL, 'Liza', 'liza@rotc.example', 'Liza', 'Macaraeg', 'cadet', 'approved', NULL, '2026-01-07 00:00:00Z', 1),
    (14, 'argon2$argon2id$v=19$m=19456,t=2,p=1$Wmt4VGIzTjJZWEpIYzBwUQ$/9sMFhpPptSRJCWi2MQSM1DC1aWl2ldXSvRxIi0aIFk', NULL, '2026-00007', '', '', '', 'cadet', 'pending', NULL, '2026-01-08 00:00:00Z', 1),
    (15, 'argon2$argon2id$v=19$m=19456,t=2,p=1$Wmt4VGIzTjJZWEpIYzBwUQ$/9sMFhpPptSRJCWi2MQSM1DC1aWl2ldXSvRxIi0aIFk', NULL, 'omar', 'shared@rotc.example', 'Omar', 'Pangandaman', 'cadet', 'approved', '2026-02-10 03:04:05Z', '2026-01-09 00:00:00Z', 3),
    (16, '!no-password', NULL, '2026-00008', 'shared@rotc.example', 'Bea', 'Reyes', 'cadet', 'approved', NULL, '2026-01-09 00:00:00Z', 1);
INSERT INTO accounts_session (id, user_id, created_at, expires_at, refresh_id, previous_refresh_id, rotated_at, ended_at) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', 11, '2026-03-01 01:00:00Z', '2036-03-08 01:00:00Z', 'r1', '', NULL, NULL),
    ('aaaaaaaa-0000-4000-8000-000000000002', 12, '2026-03-01 02:00:00Z', '2036-03-08 02:00:00Z', 'r3', 'r2', '2026-03-01 02:15:00Z', '2026-03-01 02:30:00Z');
INSERT INTO accounts_revocation (id, at, session_id, user_id, least_version) VALUES
    (21, '2026-03-01 02:30:00Z', 'aaaaaaaa-0000-4000-8000-000000000002', NULL, NULL),
    (22, '2026-02-10 03:04:05Z', NULL, 15, 3);
UPDATE accounts_tokengeneration SET generation = 4;
INSERT INTO accounts_auditentry (id, at, actor_id, action, target, before, after, request_id) VALUES
    (31, '2026-01-05 00:00:00Z', NULL, 'user.create', 'user:11', NULL, '{"role": "admin", "status": "approved", "username": "amina"}', ''),
    (32, '2026-03-01 02:30:00Z', 12, 'session.end', 'session:aaaaaaaa-0000-4000-8000-000000000002', NULL, NULL, 'c0ffee00c0ffee00'),
    (33, '2026-03-02 00:00:00Z', 11, 'notification.delete', 'notification:7', '{"title": "Old", "recipient_id": 13}', NULL, 'c0ffee00c0ffee01');
INSERT INTO messaging_notification (id, title, body, correlation_id, created_at, read_at, recipient_id) VALUES
    (41, 'Training day moved', 'Formation at 06:30.', NULL, '2026-02-01 00:00:00Z', NULL, 13),
    (42, 'Inspection', 'Haircut and nameplate.', 'smoke-1', '2026-02-02 00:00:00Z', '2026-02-03 00:00:00Z', 13),
    (43, 'Letters', 'Until Wednesday noon.', NULL, '2026-02-02 00:00:00Z', NULL, 16);
INSERT INTO event (position, type, recipients, data, at) VALUES
    (1, 'notification.created', '{user:13}', '{"id": 41, "title": "Training day moved", "unread": 1}', '2026-02-01 00:00:00Z'),
    (2, 'notification.read', '{user:13}', '{"id": 42, "unread": 1}', '2026-02-03 00:00:00Z');
UPDATE event_head SET position = 2;
INSERT INTO operations_probe (id, requested_at, started_at, finished_at, worker, requested_by_id) VALUES
    ('bbbbbbbb-0000-4000-8000-000000000001', '2026-03-01 01:00:00Z', '2026-03-01 01:00:01Z', '2026-03-01 01:00:02Z', '{"pid": 7}', 11);
INSERT INTO ops.scheduled_run (id, job, slot, trigger, owner, lease_until, attempt, started_at, finished_at, outcome, counts) VALUES
    (51, 'daily-reports', '2026-03-01 06:00:00Z', 'schedule', 'cccccccc-0000-4000-8000-000000000001', '2026-03-01 06:05:00Z', 1, '2026-03-01 06:00:00Z', '2026-03-01 06:00:09Z', 'succeeded', '{"sign_ins": 3}'),
    (52, 'sync-attendance', '2026-03-01 06:15:00Z', 'schedule', 'cccccccc-0000-4000-8000-000000000002', '2026-03-01 06:20:00Z', 2, '2026-03-01 06:15:00Z', NULL, NULL, '{}');
-- As the release left the counters: the next rows come after these.
SELECT setval(pg_get_serial_sequence(name, 'id'), 100)
FROM unnest(ARRAY['accounts_user', 'accounts_revocation', 'accounts_auditentry', 'messaging_notification', 'ops.scheduled_run']) AS name;
