-- Rows as the release 1.1.0 wrote them through its own API: the cast of its tests, and one of nearly everything that they can
-- do. Every password is "correct horse battery staple". What the migrations bring of themselves is replaced.
DELETE FROM cadets_company;
DELETE FROM cadets_platoon;
DELETE FROM grading_gradingpolicy;
DELETE FROM accounts_tokengeneration;
DELETE FROM event_head;
INSERT INTO event_head (one, epoch, position) VALUES
    ('true', '7866677d-f298-4b1c-acda-f9749724acab', '43');
INSERT INTO event (position, type, recipients, data, at) VALUES
    ('1', 'term.closed', '{role:admin,role:training_staff,role:cadet}', '{"sheets": 1, "term_id": 3, "closed_at": "2026-11-24T08:12:37.941Z"}', '2026-11-24 08:12:37.952633+00'),
    ('2', 'grade.released', '{user:3}', '{"term_id": 3, "revision": 1, "sheet_id": 1, "enrollment_id": 4}', '2026-11-24 08:12:37.953994+00'),
    ('3', 'room.opened', '{role:admin,role:training_staff}', '{"id": 1, "kind": "staff"}', '2026-11-24 08:12:37.958517+00'),
    ('4', 'room.opened', '{role:admin,role:training_staff,company:Alpha}', '{"id": 2, "kind": "company"}', '2026-11-24 08:12:37.961595+00'),
    ('5', 'room.opened', '{role:admin,role:training_staff,company:Bravo}', '{"id": 3, "kind": "company"}', '2026-11-24 08:12:37.96379+00'),
    ('6', 'room.opened', '{role:admin,role:training_staff,company:Charlie}', '{"id": 4, "kind": "company"}', '2026-11-24 08:12:37.966011+00'),
    ('7', 'room.opened', '{role:admin,role:training_staff,company:Delta}', '{"id": 5, "kind": "company"}', '2026-11-24 08:12:37.968173+00'),
    ('8', 'room.opened', '{role:admin,role:training_staff,company:HQSCOY}', '{"id": 6, "kind": "company"}', '2026-11-24 08:12:37.970297+00'),
    ('9', 'user.archived', '{role:admin}', '{"id": 2, "role": "cadet", "email": "salazar@rotc.example", "status": "approved", "version": 2, "username": "Salazar", "last_name": "", "first_name": "", "archived_at": "2026-11-24T08:12:37.984Z"}', '2026-11-24 08:12:37.988879+00'),
    ('10', 'user.changed', '{role:admin,user:1}', '{"id": 1, "role": "cadet", "email": "wahid@rotc.example", "status": "pending", "version": 2, "username": "Wahid", "last_name": "", "first_name": "", "archived_at": null}', '2026-11-24 08:12:37.993215+00'),
    ('11', 'user.registered', '{role:admin}', '{"id": 10, "role": "cadet", "email": "", "status": "pending", "version": 1, "username": "rowena", "last_name": "", "first_name": "", "archived_at": null}', '2026-11-24 08:12:38.21227+00'),
    ('12', 'user.changed', '{role:admin,user:3}', '{"id": 3, "role": "cadet", "email": "liza@rotc.example", "status": "approved", "version": 2, "username": "Liza", "last_name": "", "first_name": "Liza", "archived_at": null}', '2026-11-24 08:12:38.256572+00'),
    ('13', 'cadet.created', '{role:admin,role:training_staff}', '{"id": 4, "suffix": "", "user_id": null, "version": 1, "last_name": "Torres", "first_name": "Nadia", "student_id": "2025-0099", "year_level": null, "archived_at": null, "middle_name": ""}', '2026-11-24 08:12:38.268977+00'),
    ('14', 'staff.created', '{role:admin,role:training_staff}', '{"id": 4, "rank": "", "suffix": "", "user_id": null, "version": 1, "function": "instructor", "last_name": "Torres", "first_name": "Nadia", "archived_at": null, "middle_name": ""}', '2026-11-24 08:12:38.280735+00'),
    ('15', 'cadet.changed', '{role:admin,role:training_staff,user:8}', '{"id": 3, "suffix": "", "user_id": 8, "version": 2, "last_name": "Sarip", "first_name": "Norhaya", "student_id": "2025-0003", "year_level": null, "archived_at": null, "middle_name": ""}', '2026-11-24 08:12:38.294044+00'),
    ('16', 'enrollment.created', '{role:admin,role:training_staff,user:8}', '{"id": 5, "rank": "CDT", "level": "MS1", "status": "ongoing", "term_id": 1, "version": 1, "cadet_id": 3, "company_id": 1, "platoon_id": null, "enrolled_on": "2026-11-24"}', '2026-11-24 08:12:38.310169+00'),
    ('17', 'enrollment.changed', '{role:admin,role:training_staff,user:3}', '{"id": 1, "rank": "CDT SGT", "level": "MS1", "status": "ongoing", "term_id": 1, "version": 2, "cadet_id": 1, "company_id": 1, "platoon_id": 1, "enrolled_on": "2026-08-26", "previous_company_id": 1}', '2026-11-24 08:12:38.329988+00'),
    ('18', 'cadet.changed', '{role:admin,role:training_staff,user:3}', '{"id": 1, "suffix": "", "user_id": 3, "version": 2, "last_name": "Macaraeg", "first_name": "Liza", "student_id": "2025-0001", "year_level": null, "archived_at": null, "middle_name": ""}', '2026-11-24 08:12:38.35084+00'),
    ('19', 'training_day.created', '{role:admin,role:training_staff,role:cadet}', '{"id": 4, "date": "2026-11-25", "title": "Facings", "term_id": 1, "version": 1, "location": "", "description": "", "cancelled_at": null, "cancel_reason": ""}', '2026-11-24 08:12:38.368975+00'),
    ('20', 'training_day.changed', '{role:admin,role:training_staff,role:cadet}', '{"id": 1, "date": "2026-11-17", "title": "Drill", "term_id": 1, "version": 2, "location": "Parade ground", "description": "", "cancelled_at": null, "cancel_reason": ""}', '2026-11-24 08:12:38.383572+00'),
    ('21', 'letter.decided', '{user:3,role:admin,role:training_staff}', '{"id": 1, "state": "approved", "version": 2, "cadet_id": 1, "decided_at": "2026-11-24T08:12:38.404Z", "decision_note": "Get well soon."}', '2026-11-24 08:12:38.406181+00'),
    ('22', 'attendance.marked', '{user:3}', '{"date": "2026-11-17", "source": "sync", "status": "excused", "remarks": "Macaraeg had a fever.", "time_in": null, "time_out": null, "training_day_id": 1}', '2026-11-24 08:12:38.411398+00'),
    ('23', 'attendance.day_changed', '{role:admin,role:training_staff}', '{"changed": 1, "created": 0, "removed": 0, "by_status": {"late": 1, "absent": 0, "excused": 1, "present": 0}, "training_day_id": 1}', '2026-11-24 08:12:38.411421+00'),
    ('24', 'notification.created', '{user:3}', '{"id": 16, "body": "Your excuse letter for 2026-11-17 was approved. Note: Get well soon.", "title": "Excuse letter approved", "unread": 2, "created_at": "2026-11-24T08:12:38.412Z", "correlation_id": null}', '2026-11-24 08:12:38.415285+00'),
    ('25', 'letter.submitted', '{user:4,role:admin,role:training_staff}', '{"id": 3, "state": "pending", "version": 1, "cadet_id": 2, "date_absent": "2026-11-21", "training_day_id": null}', '2026-11-24 08:12:38.439994+00'),
    ('26', 'scores.recorded', '{role:admin,role:training_staff}', '{"term_id": 1, "enrollment_ids": [1]}', '2026-11-24 08:12:38.466123+00'),
    ('27', 'grade.changed', '{user:3}', '{"cause": "score", "term_id": 1, "enrollment_id": 1}', '2026-11-24 08:12:38.466618+00'),
    ('28', 'merit.issued', '{role:admin,role:training_staff,user:3}', '{"id": 3, "kind": "merit", "points": 5, "reason": "First aid", "term_id": 1, "cadet_id": 1, "issued_at": "2026-11-24T08:12:38.475Z", "enrollment_id": 1}', '2026-11-24 08:12:38.477309+00'),
    ('29', 'merit.revoked', '{role:admin,role:training_staff,user:3}', '{"id": 1, "term_id": 1, "cadet_id": 1, "revoked_at": "2026-11-24T08:12:38.499Z", "enrollment_id": 1, "revoke_reason": "The other cadet was meant."}', '2026-11-24 08:12:38.501663+00'),
    ('30', 'adjustment.issued', '{role:admin}', '{"id": 2, "points": "1.25", "reason": "Recount", "term_id": 1, "component": "subject", "issued_at": "2026-11-24T08:12:38.514Z", "enrollment_id": 1}', '2026-11-24 08:12:38.516436+00'),
    ('31', 'grade.changed', '{user:3}', '{"cause": "adjustment", "term_id": 1, "enrollment_id": 1}', '2026-11-24 08:12:38.516939+00'),
    ('32', 'adjustment.revoked', '{role:admin}', '{"id": 1, "term_id": 1, "revoked_at": "2026-11-24T08:12:38.535Z", "enrollment_id": 1, "revoke_reason": "Counted twice."}', '2026-11-24 08:12:38.537613+00'),
    ('33', 'grade.changed', '{user:3}', '{"cause": "adjustment", "term_id": 1, "enrollment_id": 1}', '2026-11-24 08:12:38.538097+00'),
    ('34', 'grading_policy.changed', '{role:admin,role:training_staff,role:cadet}', '{"term_id": null}', '2026-11-24 08:12:38.555699+00'),
    ('35', 'notification.read', '{user:3}', '{"id": 1, "unread": 1, "read_at": "2026-11-24T08:12:38.562Z"}', '2026-11-24 08:12:38.565791+00'),
    ('36', 'message.created', '{room:2}', '{"id": 4, "body": "Present.", "author": {"id": 3, "name": "Liza", "role": "cadet", "username": "Liza"}, "room_id": 2, "client_id": "client-7", "edited_at": null, "created_at": "2026-11-24T08:12:38.579Z", "deleted_at": null}', '2026-11-24 08:12:38.582561+00'),
    ('37', 'message.read', '{room:2}', '{"read_at": "2026-11-24T08:12:38.595Z", "room_id": 2, "user_id": 3, "last_message_id": 1}', '2026-11-24 08:12:38.597645+00'),
    ('38', 'message.edited', '{room:2}', '{"id": 1, "body": "At half past six.", "room_id": 2, "edited_at": "2026-11-24T08:12:38.611Z"}', '2026-11-24 08:12:38.613358+00'),
    ('39', 'message.deleted', '{room:7}', '{"id": 2, "room_id": 7, "deleted_at": "2026-11-24T08:12:38.624Z"}', '2026-11-24 08:12:38.625864+00'),
    ('40', 'announcement.changed', '{role:admin,role:training_staff,role:cadet}', '{"id": 1, "date": "2026-11-24", "kind": "announcement", "title": "Planting", "version": 2}', '2026-11-24 08:12:38.63663+00'),
    ('41', 'company.changed', '{role:admin,role:training_staff}', '{"id": 6, "name": "Engineers", "version": 1, "position": 70, "archived_at": null}', '2026-11-24 08:12:38.651042+00'),
    ('42', 'scores.recorded', '{role:admin,role:training_staff}', '{"term_id": 1, "enrollment_ids": [1]}', '2026-11-24 08:12:38.790571+00'),
    ('43', 'grade.changed', '{user:3}', '{"cause": "score", "term_id": 1, "enrollment_id": 1}', '2026-11-24 08:12:38.791253+00');
INSERT INTO accounts_user (id, password, last_login, username, email, first_name, last_name, role, status, archived_at, created_at, token_version, updated_at, version) VALUES
    ('1', 'argon2$argon2id$v=19$m=19456,t=2,p=1$QmhiaTIyYXFCamhrVk90WUlwWVV4Tw$qq/wBjWZoQ1tiB+tHjEPMcKDON9KLdl3kA6pXnlNwfE', '2026-11-24 08:12:37.56907+00', 'Wahid', 'wahid@rotc.example', '', '', 'cadet', 'pending', NULL, '2026-11-24 08:12:37.533241+00', '2', '2026-11-24 08:12:37.991412+00', '2'),
    ('2', 'argon2$argon2id$v=19$m=19456,t=2,p=1$aVNTM0lFWmpnVUNsSk54MzZwdVpKNg$ag+IFAIEQxmC4jTOgeBRErONl79aNPjV/HO6SdLyfmQ', '2026-11-24 08:12:37.621934+00', 'Salazar', 'salazar@rotc.example', '', '', 'cadet', 'approved', '2026-11-24 08:12:37.984422+00', '2026-11-24 08:12:37.593923+00', '2', '2026-11-24 08:12:37.984431+00', '2'),
    ('3', 'argon2$argon2id$v=19$m=19456,t=2,p=1$MEVPcWR1R0l1OVhSTTVTMldBSVpUYQ$BkOAN+z6A+JIILg1u3wwQEG8Kmy6TDxMwpn8UUe56u8', '2026-11-24 08:12:37.673019+00', 'Liza', 'liza@rotc.example', 'Liza', '', 'cadet', 'approved', NULL, '2026-11-24 08:12:37.648103+00', '1', '2026-11-24 08:12:38.254542+00', '2'),
    ('4', 'argon2$argon2id$v=19$m=19456,t=2,p=1$Q2xpcDBGc09xSkZFZFV3R0daS0JxTg$ojCi8DaYiTtz56RebsgErgUvbrCCxrnQcGC7lwMAsxU', '2026-11-24 08:12:37.721257+00', 'Omar', 'omar@rotc.example', '', '', 'cadet', 'approved', NULL, '2026-11-24 08:12:37.697094+00', '1', '2026-11-24 08:12:37.697094+00', '1'),
    ('5', 'argon2$argon2id$v=19$m=19456,t=2,p=1$SFc2OEhxUmJqNDR0T213V2dKbzlmcA$M7RHCM6QlPCgygWS/wr10ZozpHkGNsATkSiaAlYcw1E', '2026-11-24 08:12:37.769626+00', 'Ramon', 'ramon@rotc.example', '', '', 'training_staff', 'approved', NULL, '2026-11-24 08:12:37.744936+00', '1', '2026-11-24 08:12:37.744936+00', '1'),
    ('6', 'argon2$argon2id$v=19$m=19456,t=2,p=1$VHZiaTcySXBlSTc2TGEwV1NVVkRGdw$VXFdu6sxWaAtyrrL1Dg+zMQIHqFub7gtadD44jaeVcM', '2026-11-24 08:12:37.817246+00', 'Corazon', 'corazon@rotc.example', '', '', 'training_staff', 'approved', NULL, '2026-11-24 08:12:37.793005+00', '1', '2026-11-24 08:12:37.793005+00', '1'),
    ('7', 'argon2$argon2id$v=19$m=19456,t=2,p=1$N3lDWVV6M1pieTJMaTRkY3d2TVVLbQ$Rzzg/QLYFAjSJ1Fxph/XkUr6YkRTgDf1fOXvE9ORDH0', '2026-11-24 08:12:37.865458+00', 'Amina', 'amina@rotc.example', '', '', 'admin', 'approved', NULL, '2026-11-24 08:12:37.841318+00', '1', '2026-11-24 08:12:37.841318+00', '1'),
    ('8', 'argon2$argon2id$v=19$m=19456,t=2,p=1$a0JjQkxLajYxZTM5REpsVUlROTV5NQ$aVpwTX8uRTnp4Q2VZw3jqunpR/qllzVHMahrKL8kIMU', NULL, 'Fatima', 'fatima@rotc.example', '', '', 'cadet', 'approved', NULL, '2026-11-24 08:12:37.901378+00', '1', '2026-11-24 08:12:37.901378+00', '1'),
    ('9', 'argon2$argon2id$v=19$m=19456,t=2,p=1$bWhhU09HQWFIY3owWjhDRk9WSDRjNg$HAyz6lrLXC0j8IyTGK5Cka5PwX6q46ryq66XutfPtZE', NULL, 'Bautista', 'bautista@rotc.example', '', '', 'training_staff', 'approved', NULL, '2026-11-24 08:12:37.923219+00', '1', '2026-11-24 08:12:37.923219+00', '1'),
    ('10', 'argon2$argon2id$v=19$m=19456,t=2,p=1$S0I0SjRxQVhhSTE3d1BmT2hTYThkZw$prd+FzxdZDwbc3Vp8TFSi/QInb2wTnHu7bA//Gt/lk8', NULL, 'rowena', '', '', '', 'cadet', 'pending', NULL, '2026-11-24 08:12:38.209627+00', '1', '2026-11-24 08:12:38.209627+00', '1');
INSERT INTO accounts_session (id, created_at, expires_at, refresh_id, previous_refresh_id, rotated_at, ended_at, user_id) VALUES
    ('00703b3a-43d2-447e-acf8-ba48e7289ac2', '2026-11-24 08:12:37.817246+00', '2026-12-01 08:12:37.817246+00', '3c3a442051a6c55f586b0c6c33d20335', '', NULL, NULL, '6'),
    ('174f9702-3804-4bc7-b593-8cadf89603f8', '2026-11-24 08:12:37.865458+00', '2026-12-01 08:12:37.865458+00', '4ec746dc3297e70489ddb49c8b6038eb', '', NULL, NULL, '7'),
    ('39073118-4cb7-4cc7-aca5-8aad89391007', '2026-11-24 08:12:37.769626+00', '2026-12-01 08:12:37.769626+00', 'd1b519493b816010ba7b472dccb93f67', '', NULL, NULL, '5'),
    ('650acb32-03f9-4aa6-9ce7-90f1d97fcdfd', '2026-11-24 08:12:37.621934+00', '2026-12-01 08:12:37.621934+00', 'f6550862576c359f54a0a85012c1c8ec', '', NULL, '2026-11-24 08:12:37.986772+00', '2'),
    ('8c59b2c1-a446-4866-9a66-5f09901d9c78', '2026-11-24 08:12:37.56907+00', '2026-12-01 08:12:37.56907+00', 'fa7e3bd8f9292592ae50b4b4d1737490', '', NULL, '2026-11-24 08:12:37.991031+00', '1'),
    ('be2e84d8-1223-4cfc-8216-be7e410dfd30', '2026-11-24 08:12:37.721257+00', '2026-12-01 08:12:37.721257+00', '6ccb18504712063cd7fe8fccfd7ddc7b', '', NULL, NULL, '4'),
    ('fe49017d-99dd-45c6-89b3-6129d38b8a0f', '2026-11-24 08:12:37.673019+00', '2026-12-01 08:12:37.673019+00', '8f6889f7788b0745ed3f391c3d8eef74', '', NULL, NULL, '3');
INSERT INTO accounts_revocation (id, at, session_id, user_id, least_version) VALUES
    ('1', '2026-11-24 08:12:37.986284+00', NULL, '2', '2'),
    ('2', '2026-11-24 08:12:37.99073+00', NULL, '1', '2');
INSERT INTO accounts_tokengeneration (id, generation) VALUES
    ('1', '1');
INSERT INTO accounts_auditentry (id, at, action, target, before, after, request_id, actor_id) VALUES
    ('1', '2026-11-24 08:12:37.535398+00', 'user.create', 'user:1', NULL, '{"role": "cadet", "status": "approved", "username": "Wahid"}', '', NULL),
    ('2', '2026-11-24 08:12:37.571205+00', 'session.open', 'session:8c59b2c1-a446-4866-9a66-5f09901d9c78', NULL, NULL, '', '1'),
    ('3', '2026-11-24 08:12:37.596064+00', 'user.create', 'user:2', NULL, '{"role": "cadet", "status": "approved", "username": "Salazar"}', '', NULL),
    ('4', '2026-11-24 08:12:37.623461+00', 'session.open', 'session:650acb32-03f9-4aa6-9ce7-90f1d97fcdfd', NULL, NULL, '', '2'),
    ('5', '2026-11-24 08:12:37.649701+00', 'user.create', 'user:3', NULL, '{"role": "cadet", "status": "approved", "username": "Liza"}', '', NULL),
    ('6', '2026-11-24 08:12:37.674543+00', 'session.open', 'session:fe49017d-99dd-45c6-89b3-6129d38b8a0f', NULL, NULL, '', '3'),
    ('7', '2026-11-24 08:12:37.69873+00', 'user.create', 'user:4', NULL, '{"role": "cadet", "status": "approved", "username": "Omar"}', '', NULL),
    ('8', '2026-11-24 08:12:37.722822+00', 'session.open', 'session:be2e84d8-1223-4cfc-8216-be7e410dfd30', NULL, NULL, '', '4'),
    ('9', '2026-11-24 08:12:37.746485+00', 'user.create', 'user:5', NULL, '{"role": "training_staff", "status": "approved", "username": "Ramon"}', '', NULL),
    ('10', '2026-11-24 08:12:37.771087+00', 'session.open', 'session:39073118-4cb7-4cc7-aca5-8aad89391007', NULL, NULL, '', '5'),
    ('11', '2026-11-24 08:12:37.794527+00', 'user.create', 'user:6', NULL, '{"role": "training_staff", "status": "approved", "username": "Corazon"}', '', NULL),
    ('12', '2026-11-24 08:12:37.819076+00', 'session.open', 'session:00703b3a-43d2-447e-acf8-ba48e7289ac2', NULL, NULL, '', '6'),
    ('13', '2026-11-24 08:12:37.842934+00', 'user.create', 'user:7', NULL, '{"role": "admin", "status": "approved", "username": "Amina"}', '', NULL),
    ('14', '2026-11-24 08:12:37.867099+00', 'session.open', 'session:174f9702-3804-4bc7-b593-8cadf89603f8', NULL, NULL, '', '7'),
    ('15', '2026-11-24 08:12:37.902973+00', 'user.create', 'user:8', NULL, '{"role": "cadet", "status": "approved", "username": "Fatima"}', '', NULL),
    ('16', '2026-11-24 08:12:37.92477+00', 'user.create', 'user:9', NULL, '{"role": "training_staff", "status": "approved", "username": "Bautista"}', '', NULL),
    ('17', '2026-11-24 08:12:37.951879+00', 'term.close', 'term:3', '{"closed_at": null, "closed_by_id": null}', '{"sheets": 1, "closed_at": "2026-11-24T08:12:37.941Z", "closed_by_id": 7}', '', '7'),
    ('18', '2026-11-24 08:12:37.954552+00', 'term.create', 'term:1', NULL, NULL, '', '7'),
    ('19', '2026-11-24 08:12:37.958008+00', 'room.open', 'room:1', NULL, '{"kind": "staff", "company_id": null, "person_ids": []}', '', NULL),
    ('20', '2026-11-24 08:12:37.961112+00', 'room.open', 'room:2', NULL, '{"kind": "company", "company_id": 1, "person_ids": []}', '', NULL),
    ('21', '2026-11-24 08:12:37.963328+00', 'room.open', 'room:3', NULL, '{"kind": "company", "company_id": 2, "person_ids": []}', '', NULL),
    ('22', '2026-11-24 08:12:37.965553+00', 'room.open', 'room:4', NULL, '{"kind": "company", "company_id": 3, "person_ids": []}', '', NULL),
    ('23', '2026-11-24 08:12:37.967689+00', 'room.open', 'room:5', NULL, '{"kind": "company", "company_id": 4, "person_ids": []}', '', NULL),
    ('24', '2026-11-24 08:12:37.969832+00', 'room.open', 'room:6', NULL, '{"kind": "company", "company_id": 5, "person_ids": []}', '', NULL),
    ('25', '2026-11-24 08:12:37.98827+00', 'user.archive', 'user:2', '{"archived_at": null}', '{"archived_at": "2026-11-24T08:12:37.984Z"}', '', '7'),
    ('26', '2026-11-24 08:12:37.992652+00', 'user.change', 'user:1', '{"status": null}', '{"status": "pending"}', '', '7'),
    ('27', '2026-11-24 08:12:38.183896+00', 'invitation.create', 'user:3', NULL, '{"purpose": "reset", "expires_at": "2026-11-27T08:12:38.181Z", "invitation_id": 1}', '931d6ae2dd2d434ea2698517ed201a9b', '7'),
    ('28', '2026-11-24 08:12:38.211404+00', 'user.register', 'user:10', NULL, '{"role": "cadet", "status": "pending", "username": "rowena"}', '44fe68e964b545f98c7cbb9c4a9aad04', NULL),
    ('29', '2026-11-24 08:12:38.255704+00', 'user.change', 'user:3', '{"first_name": ""}', '{"first_name": "Liza"}', '7502eff6e49341b7878b66c2aed8ee7e', '7'),
    ('30', '2026-11-24 08:12:38.268313+00', 'cadet.create', 'cadet:4', NULL, '{"last_name": "Torres", "first_name": "Nadia", "student_id": "2025-0099"}', 'caa5e542540e4ffbaada3109dfb2b166', '7'),
    ('31', '2026-11-24 08:12:38.279963+00', 'staff.create', 'staff:4', NULL, '{"email": "torres@rotc.example", "last_name": "Torres", "first_name": "Nadia"}', 'cdfeeda9b59a44faa88d9924c703f600', '7'),
    ('32', '2026-11-24 08:12:38.293124+00', 'cadet.link_account', 'cadet:3', '{"user_id": null}', '{"user_id": 8}', '91f0a0d8c7ea4a88b11724260903d39a', '7'),
    ('33', '2026-11-24 08:12:38.309384+00', 'enrollment.create', 'enrollment:5', NULL, '{"term_id": 1, "cadet_id": 3, "company_id": 1, "enrolled_on": "2026-11-24"}', 'e3233817b6104f388ec51c90422570f7', '7'),
    ('34', '2026-11-24 08:12:38.329253+00', 'enrollment.change', 'enrollment:1', '{"rank": "CDT"}', '{"rank": "CDT SGT"}', '28833425aa354d0286ebd9a6dbbf5d2e', '7'),
    ('35', '2026-11-24 08:12:38.349812+00', 'cadet.change_own', 'cadet:1', '{"contact_number": ""}', '{"contact_number": "0917 555 0101"}', '6ad9a52d64b74678b1329241ea54f44f', '3'),
    ('36', '2026-11-24 08:12:38.368281+00', 'training_day.create', 'training_day:4', NULL, '{"date": "2026-11-25", "title": "Facings", "term_id": 1, "location": "", "description": ""}', 'c271d7554b9f4a3bad7440cfb6eb1291', '5'),
    ('37', '2026-11-24 08:12:38.382853+00', 'training_day.change', 'training_day:1', '{"location": ""}', '{"location": "Parade ground"}', '20bd15c1d38f4ede8cafa2f19001a6f1', '5'),
    ('38', '2026-11-24 08:12:38.405445+00', 'letter.approve', 'letter:1', '{"state": "pending", "decided_at": null, "decided_by_id": null, "decision_note": ""}', '{"state": "approved", "decided_at": "2026-11-24T08:12:38.404Z", "decided_by_id": 6, "decision_note": "Get well soon."}', '20332f79558d43498311463658aa33e7', '6'),
    ('39', '2026-11-24 08:12:38.40931+00', 'attendance.mark', 'training_day:1', '{"records": [{"status": "absent", "remarks": "Macaraeg had a fever.", "time_in": null, "cadet_id": 1, "time_out": null}]}', '{"source": "sync", "records": [{"status": "excused", "remarks": "Macaraeg had a fever.", "time_in": null, "cadet_id": 1, "time_out": null}]}', '20332f79558d43498311463658aa33e7', '6'),
    ('40', '2026-11-24 08:12:38.413821+00', 'notification.create', 'notification:16', NULL, '{"title": "Excuse letter approved", "recipient_id": 3}', '20332f79558d43498311463658aa33e7', '6'),
    ('41', '2026-11-24 08:12:38.439078+00', 'letter.submit', 'letter:3', NULL, '{"cadet_id": 2, "file_name": "", "date_absent": "2026-11-21", "training_day_id": null}', 'c5612f984d9a4d3c8dc52003400e2b6c', '4'),
    ('42', '2026-11-24 08:12:38.46429+00', 'score.record', 'enrollment:1', '{"1": {"midterm": null}}', '{"1": {"midterm": "77.25"}}', 'f77d36719c8744d9831419dda9b35607', '5'),
    ('43', '2026-11-24 08:12:38.476557+00', 'merit.issue', 'merit:3', NULL, '{"kind": "merit", "points": 5, "reason": "First aid", "enrollment_id": 1}', '63559783da754e28a1c00cca9dcf5cf8', '5'),
    ('44', '2026-11-24 08:12:38.500928+00', 'merit.revoke', 'merit:1', '{"revoked": false}', '{"revoked": true, "revoke_reason": "The other cadet was meant."}', 'ace3a42b2415440698129ff30bd403c6', '5'),
    ('45', '2026-11-24 08:12:38.515668+00', 'adjustment.issue', 'adjustment:2', NULL, '{"points": "1.25", "reason": "Recount", "component": "subject", "enrollment_id": 1}', 'd83f99dad9494c2ca180011e81785c21', '7'),
    ('46', '2026-11-24 08:12:38.536927+00', 'adjustment.revoke', 'adjustment:1', '{"revoked": false}', '{"revoked": true, "revoke_reason": "Counted twice."}', '8dc09272ae0a4c80b8476170dc4f8a75', '7'),
    ('47', '2026-11-24 08:12:38.552767+00', 'grading_policy.create', 'grading_policy:term:3', NULL, '{"bands": [["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]], "subject_weight": "40.00", "aptitude_weight": "30.00", "attendance_weight": "30.00", "attended_statuses": ["present", "late", "excused"], "failing_equivalent": "5.00"}', '3f1607c6ac8b466c9632345940b82393', '7'),
    ('48', '2026-11-24 08:12:38.5539+00', 'grading_policy.change', 'grading_policy:default', '{"attended_statuses": ["present", "late", "excused"]}', '{"attended_statuses": ["present", "excused"]}', '3f1607c6ac8b466c9632345940b82393', '7'),
    ('49', '2026-11-24 08:12:38.564508+00', 'notification.read', 'notification:1', NULL, NULL, '0dab927546da4549a37a8cd6f5ccef2e', '3'),
    ('50', '2026-11-24 08:12:38.581539+00', 'message.send', 'message:4', NULL, '{"room_id": 2, "characters": 8}', 'b7c6e8b02c064058ace3386792dfb12e', '3'),
    ('51', '2026-11-24 08:12:38.612434+00', 'message.edit', 'message:1', '{"body": "Macaraeg here."}', '{"body": "At half past six."}', '76620eab86014ffb9a93c90168a1d0fc', '3'),
    ('52', '2026-11-24 08:12:38.625109+00', 'message.delete', 'message:2', '{"room_id": 7, "author_id": 3, "characters": 14}', NULL, 'cc8e1edd4d2449a992ed9830034df33c', '3'),
    ('53', '2026-11-24 08:12:38.635601+00', 'announcement.change', 'announcement:1', '{"title": "Muster"}', '{"title": "Planting"}', '1b7adcd470ce4029b20932acd7c96f69', '5'),
    ('54', '2026-11-24 08:12:38.65016+00', 'company.create', 'company:6', NULL, '{"name": "Engineers", "position": 70}', 'ba3e5e907bb247dc92ca031f8ca55afd', '7'),
    ('55', '2026-11-24 08:12:38.74873+00', 'password_reset.request', 'password_reset:b353632d-8021-46ac-9d5b-e1de40b30a4b', NULL, NULL, 'fa7a27d6bc6f4e2ab67228fddd0f9298', NULL),
    ('56', '2026-11-24 08:12:38.788851+00', 'score.record', 'enrollment:1', '{"1": {"final": null}}', '{"1": {"final": "88.25"}}', '261ed883d3d24d1d9df1e4ae7444af82', '5');
INSERT INTO accounts_attempts (id, kind, key, at, last_at, locked_until) VALUES
    ('1', 'registration', '127.0.0.1', '{"2026-11-24 08:12:38.187593+00"}', '2026-11-24 08:12:38.187593+00', NULL),
    ('2', 'account', '21297e6e966afbd06e8f08c4525ae2edcbd3696cc6bc436037e278d4b1e67b4d', '{"2026-11-24 08:12:38.739482+00"}', '2026-11-24 08:12:38.739482+00', NULL),
    ('3', 'address', '127.0.0.1', '{"2026-11-24 08:12:38.741811+00"}', '2026-11-24 08:12:38.741811+00', NULL),
    ('4', 'password_reset', '127.0.0.1', '{"2026-11-24 08:12:38.745497+00"}', '2026-11-24 08:12:38.745497+00', NULL);
INSERT INTO accounts_invitation (id, purpose, token_digest, created_at, expires_at, used_at, replaced_at, created_by_id, user_id) VALUES
    ('1', 'reset', '8715a7cc8351cf5cfd3740aeff1cea5b21ec812f6ab7c8e59ecae007c1b1b4ac', '2026-11-24 08:12:38.182991+00', '2026-11-27 08:12:38.181693+00', NULL, NULL, '7', '3');
INSERT INTO accounts_passwordreset (id, page, requested_at, state, detail, attempts, claimed_at, user_id) VALUES
    ('b353632d-8021-46ac-9d5b-e1de40b30a4b', 'http://testserver/invitation/', '2026-11-24 08:12:38.747877+00', 'waiting', '', '0', NULL, '4');
INSERT INTO cadets_term (id, version, created_at, updated_at, school_year, semester, starts_on, ends_on, is_current, closed_at, closed_by_id) VALUES
    ('1', '1', '2026-11-24 08:12:37.86886+00', '2026-11-24 08:12:37.86886+00', '2025-2026', '1st', '2026-08-26', '2027-01-23', 'true', NULL, NULL),
    ('2', '1', '2026-11-24 08:12:37.86967+00', '2026-11-24 08:12:37.86967+00', '2024-2025', '2nd', '2026-01-28', '2026-06-27', 'false', NULL, NULL),
    ('3', '2', '2026-11-24 08:12:37.87009+00', '2026-11-24 08:12:37.943438+00', '2024-2025', '1st', '2025-08-01', '2025-12-29', 'false', '2026-11-24 08:12:37.94186+00', '7');
INSERT INTO cadets_company (id, version, created_at, updated_at, name, position, archived_at) VALUES
    ('1', '1', '2026-11-24 08:12:35.792375+00', '2026-11-24 08:12:35.792375+00', 'Alpha', '10', NULL),
    ('2', '1', '2026-11-24 08:12:35.792375+00', '2026-11-24 08:12:35.792375+00', 'Bravo', '20', NULL),
    ('3', '1', '2026-11-24 08:12:35.792375+00', '2026-11-24 08:12:35.792375+00', 'Charlie', '30', NULL),
    ('4', '1', '2026-11-24 08:12:35.792375+00', '2026-11-24 08:12:35.792375+00', 'Delta', '40', NULL),
    ('5', '1', '2026-11-24 08:12:35.792375+00', '2026-11-24 08:12:35.792375+00', 'HQSCOY', '50', NULL),
    ('6', '1', '2026-11-24 08:12:38.648392+00', '2026-11-24 08:12:38.648392+00', 'Engineers', '70', NULL);
INSERT INTO cadets_platoon (id, version, created_at, updated_at, name, position, archived_at) VALUES
    ('1', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', '1st Platoon', '10', NULL),
    ('2', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', '2nd Platoon', '20', NULL),
    ('3', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Colors', '30', NULL),
    ('4', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Guidon Bearer', '40', NULL),
    ('5', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Medics', '50', NULL),
    ('6', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Military Police', '60', NULL),
    ('7', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Band', '70', NULL),
    ('8', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Office Personnel', '80', NULL),
    ('9', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Small Unit Tactics', '90', NULL),
    ('10', '1', '2026-11-24 08:12:35.794465+00', '2026-11-24 08:12:35.794465+00', 'Excess Officer', '100', NULL);
INSERT INTO cadets_cadet (id, version, created_at, updated_at, student_id, last_name, first_name, middle_name, suffix, email, contact_number, address, gender, birthdate, religion, course, year_level, photo, archived_at, user_id) VALUES
    ('1', '2', '2026-11-24 08:12:37.873044+00', '2026-11-24 08:12:38.348422+00', '2025-0001', 'Macaraeg', 'Liza', '', '', '', '0917 555 0101', '', '', NULL, '', '', NULL, 'tests/9b6ffb0885f16e80fa08595208876c61.jpg', NULL, '3'),
    ('2', '1', '2026-11-24 08:12:37.873924+00', '2026-11-24 08:12:37.873924+00', '2025-0002', 'Pangandaman', 'Omar', '', '', '', '', '', '', NULL, '', '', NULL, '', NULL, '4'),
    ('3', '2', '2026-11-24 08:12:37.874402+00', '2026-11-24 08:12:38.291774+00', '2025-0003', 'Sarip', 'Norhaya', '', '', '', '', '', '', NULL, '', '', NULL, '', NULL, '8'),
    ('4', '1', '2026-11-24 08:12:38.266896+00', '2026-11-24 08:12:38.266896+00', '2025-0099', 'Torres', 'Nadia', '', '', '', '', '', '', NULL, '', '', NULL, '', NULL, NULL);
INSERT INTO cadets_enrollment (id, version, created_at, updated_at, battalion, position, rank, level, status, enrolled_on, cadet_id, company_id, platoon_id, term_id) VALUES
    ('1', '2', '2026-11-24 08:12:37.875132+00', '2026-11-24 08:12:38.328178+00', '', '', 'CDT SGT', 'MS1', 'ongoing', '2026-08-26', '1', '1', '1', '1'),
    ('2', '1', '2026-11-24 08:12:37.875917+00', '2026-11-24 08:12:37.875917+00', '', '', 'CDT', 'MS1', 'ongoing', '2026-08-26', '2', '2', '1', '1'),
    ('3', '1', '2026-11-24 08:12:37.876399+00', '2026-11-24 08:12:37.876399+00', '', '', 'CDT', 'MS1', 'ongoing', '2026-01-28', '1', '1', '1', '2'),
    ('4', '1', '2026-11-24 08:12:37.87685+00', '2026-11-24 08:12:37.87685+00', '', '', 'CDT', 'MS1', 'ongoing', '2025-08-01', '1', '1', '1', '3'),
    ('5', '1', '2026-11-24 08:12:38.308535+00', '2026-11-24 08:12:38.308535+00', '', '', 'CDT', 'MS1', 'ongoing', '2026-11-24', '3', '1', NULL, '1');
INSERT INTO cadets_staffprofile (id, version, created_at, updated_at, rank, last_name, first_name, middle_name, suffix, email, function, afpsn, contact_number, photo, archived_at, user_id) VALUES
    ('1', '1', '2026-11-24 08:12:37.877452+00', '2026-11-24 08:12:37.877452+00', '', 'Villanueva', 'Ramon', '', '', 'villanueva@rotc.example', 'instructor', '', '', '', NULL, '5'),
    ('2', '1', '2026-11-24 08:12:37.878137+00', '2026-11-24 08:12:37.878137+00', '', 'Lucman', 'Corazon', '', '', 'lucman@rotc.example', 'commandant', '', '', '', NULL, '6'),
    ('3', '1', '2026-11-24 08:12:37.878569+00', '2026-11-24 08:12:37.878569+00', '', 'Usman', 'Datu', '', '', 'usman@rotc.example', 'instructor', '', '', '', NULL, NULL),
    ('4', '1', '2026-11-24 08:12:38.278307+00', '2026-11-24 08:12:38.278307+00', '', 'Torres', 'Nadia', '', '', 'torres@rotc.example', 'instructor', '', '', '', NULL, NULL);
INSERT INTO messaging_notification (id, title, body, correlation_id, created_at, read_at, recipient_id) VALUES
    ('1', 'For Macaraeg', 'Formation 1.', NULL, '2026-11-24 08:12:37.97703+00', '2026-11-24 08:12:38.562833+00', '3'),
    ('2', 'For Pangandaman', 'Formation 1.', NULL, '2026-11-24 08:12:37.977692+00', NULL, '4'),
    ('3', 'For Pangandaman', 'Formation 2.', NULL, '2026-11-24 08:12:37.978045+00', NULL, '4'),
    ('4', 'For Villanueva', 'Formation 1.', NULL, '2026-11-24 08:12:37.978381+00', NULL, '5'),
    ('5', 'For Villanueva', 'Formation 2.', NULL, '2026-11-24 08:12:37.978707+00', NULL, '5'),
    ('6', 'For Villanueva', 'Formation 3.', NULL, '2026-11-24 08:12:37.979039+00', NULL, '5'),
    ('7', 'For Lucman', 'Formation 1.', NULL, '2026-11-24 08:12:37.979367+00', NULL, '6'),
    ('8', 'For Lucman', 'Formation 2.', NULL, '2026-11-24 08:12:37.979689+00', NULL, '6'),
    ('9', 'For Lucman', 'Formation 3.', NULL, '2026-11-24 08:12:37.980015+00', NULL, '6'),
    ('10', 'For Lucman', 'Formation 4.', NULL, '2026-11-24 08:12:37.980363+00', NULL, '6'),
    ('11', 'For Dimaporo', 'Formation 1.', NULL, '2026-11-24 08:12:37.980691+00', NULL, '7'),
    ('12', 'For Dimaporo', 'Formation 2.', NULL, '2026-11-24 08:12:37.981008+00', NULL, '7'),
    ('13', 'For Dimaporo', 'Formation 3.', NULL, '2026-11-24 08:12:37.981318+00', NULL, '7'),
    ('14', 'For Dimaporo', 'Formation 4.', NULL, '2026-11-24 08:12:37.981629+00', NULL, '7'),
    ('15', 'For Dimaporo', 'Formation 5.', NULL, '2026-11-24 08:12:37.982006+00', NULL, '7'),
    ('16', 'Excuse letter approved', 'Your excuse letter for 2026-11-17 was approved. Note: Get well soon.', NULL, '2026-11-24 08:12:38.412611+00', NULL, '3');
INSERT INTO messaging_room (id, kind, created_at, company_id, first_person_id, second_person_id) VALUES
    ('1', 'staff', '2026-11-24 08:12:37.957217+00', NULL, NULL, NULL),
    ('2', 'company', '2026-11-24 08:12:37.960563+00', '1', NULL, NULL),
    ('3', 'company', '2026-11-24 08:12:37.9628+00', '2', NULL, NULL),
    ('4', 'company', '2026-11-24 08:12:37.965005+00', '3', NULL, NULL),
    ('5', 'company', '2026-11-24 08:12:37.967165+00', '4', NULL, NULL),
    ('6', 'company', '2026-11-24 08:12:37.96931+00', '5', NULL, NULL),
    ('7', 'direct', '2026-11-24 08:12:37.971793+00', NULL, '3', '5');
INSERT INTO messaging_message (id, body, client_id, created_at, edited_at, deleted_at, author_id, room_id) VALUES
    ('1', 'At half past six.', 'client-1', '2026-11-24 08:12:37.972017+00', '2026-11-24 08:12:38.611164+00', NULL, '3', '2'),
    ('2', '', 'client-1', '2026-11-24 08:12:37.972907+00', NULL, '2026-11-24 08:12:38.624203+00', '3', '7'),
    ('3', 'Pangandaman here.', 'client-1', '2026-11-24 08:12:37.973954+00', NULL, NULL, '4', '3'),
    ('4', 'Present.', 'client-7', '2026-11-24 08:12:38.579794+00', NULL, NULL, '3', '2');
INSERT INTO messaging_readmark (id, read_at, last_message_id, user_id, room_id) VALUES
    ('1', '2026-11-24 08:12:38.595121+00', '1', '3', '2');
INSERT INTO messaging_announcement (id, version, created_at, updated_at, kind, title, text, date, archived_at, created_by_id) VALUES
    ('1', '2', '2026-11-24 08:12:37.974736+00', '2026-11-24 08:12:38.634267+00', 'announcement', 'Planting', 'At seven.', '2026-11-24', NULL, '5'),
    ('2', '1', '2026-11-24 08:12:37.975433+00', '2026-11-24 08:12:37.975433+00', 'announcement', 'Muster', 'At seven.', '2026-11-24', '2026-11-24 08:12:37.97432+00', '5');
INSERT INTO messaging_announcementphoto (id, file, created_at, announcement_id, created_by_id) VALUES
    ('1', 'tests/bb16fbfc4fe2e9865cd7b2ef0c2fe1e4.jpg', '2026-11-24 08:12:37.976314+00', '1', '5');
INSERT INTO training_trainingday (id, version, created_at, updated_at, date, title, description, location, cancelled_at, cancel_reason, term_id) VALUES
    ('1', '2', '2026-11-24 08:12:37.925789+00', '2026-11-24 08:12:38.38158+00', '2026-11-17', 'Drill', '', 'Parade ground', NULL, '', '1'),
    ('2', '1', '2026-11-24 08:12:37.926741+00', '2026-11-24 08:12:37.926741+00', '2026-11-10', 'March', '', '', '2026-11-24 08:12:37.92648+00', 'Typhoon', '1'),
    ('3', '1', '2026-11-24 08:12:37.92716+00', '2026-11-24 08:12:37.92716+00', '2026-12-01', 'Map reading', '', '', NULL, '', '1'),
    ('4', '1', '2026-11-24 08:12:38.366816+00', '2026-11-24 08:12:38.366816+00', '2026-11-25', 'Facings', '', '', NULL, '', '1');
INSERT INTO training_attendancerecord (id, version, created_at, updated_at, status, time_in, time_out, remarks, source, cadet_id, recorded_by_id, training_day_id) VALUES
    ('1', '2', '2026-11-24 08:12:37.932069+00', '2026-11-24 08:12:38.408761+00', 'excused', NULL, NULL, 'Macaraeg had a fever.', 'sync', '1', '6', '1'),
    ('2', '1', '2026-11-24 08:12:37.937396+00', '2026-11-24 08:12:37.937396+00', 'late', NULL, NULL, 'Pangandaman had a fever.', 'manual', '2', '5', '1');
INSERT INTO training_staffattendancerecord (id, version, created_at, updated_at, status, time_in, time_out, remarks, source, recorded_by_id, staff_profile_id, training_day_id) VALUES
    ('1', '1', '2026-11-24 08:12:37.928567+00', '2026-11-24 08:12:37.928567+00', 'present', NULL, NULL, 'Villanueva came by bus.', 'manual', '7', '1', '1'),
    ('2', '1', '2026-11-24 08:12:37.929825+00', '2026-11-24 08:12:37.929825+00', 'late', NULL, NULL, 'Lucman came by bus.', 'manual', '7', '2', '1');
INSERT INTO training_excuseletter (id, version, created_at, updated_at, date_absent, reason, file, file_name, file_type, state, decided_at, decision_note, cadet_id, decided_by_id, term_id, training_day_id) VALUES
    ('1', '2', '2026-11-24 08:12:37.933273+00', '2026-11-24 08:12:38.404298+00', '2026-11-17', 'Fever, says the mother of Macaraeg.', 'tests/b6e40ef4a56906f11706696b75e603db.jpg', 'certificate.jpg', 'image/jpeg', 'approved', '2026-11-24 08:12:38.40428+00', 'Get well soon.', '1', '6', '1', '1'),
    ('2', '1', '2026-11-24 08:12:37.93815+00', '2026-11-24 08:12:37.93815+00', '2026-11-17', 'Fever, says the mother of Pangandaman.', 'tests/8dea534f273f8429a12f30fd631d82c8.jpg', 'certificate.jpg', 'image/jpeg', 'pending', NULL, '', '2', NULL, '1', '1'),
    ('3', '1', '2026-11-24 08:12:38.43741+00', '2026-11-24 08:12:38.43741+00', '2026-11-21', 'Dengue; the certificate follows.', '', '', '', 'pending', NULL, '', '2', NULL, '1', NULL);
INSERT INTO grading_gradingpolicy (id, version, created_at, updated_at, attendance_weight, aptitude_weight, subject_weight, attended_statuses, bands, failing_equivalent, term_id) VALUES
    ('1', '2', '2026-11-24 08:12:36.398223+00', '2026-11-24 08:12:38.553056+00', '30.00', '30.00', '40.00', '["present", "excused"]', '[["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]]', '5.00', NULL),
    ('2', '1', '2026-11-24 08:12:37.879859+00', '2026-11-24 08:12:37.879859+00', '30.00', '30.00', '40.00', '["present", "late", "excused"]', '[["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]]', '5.00', '2'),
    ('3', '2', '2026-11-24 08:12:38.551544+00', '2026-11-24 08:12:38.551544+00', '30.00', '30.00', '40.00', '["present", "late", "excused"]', '[["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]]', '5.00', '3');
INSERT INTO grading_examscore (id, version, created_at, updated_at, exam, score, enrollment_id, recorded_by_id) VALUES
    ('1', '1', '2026-11-24 08:12:37.934326+00', '2026-11-24 08:12:37.934326+00', 'prelim', '85.00', '1', '5'),
    ('2', '1', '2026-11-24 08:12:37.938627+00', '2026-11-24 08:12:37.938627+00', 'prelim', '62.50', '2', '5'),
    ('3', '1', '2026-11-24 08:12:38.463063+00', '2026-11-24 08:12:38.463063+00', 'midterm', '77.25', '1', '5'),
    ('4', '1', '2026-11-24 08:12:38.787786+00', '2026-11-24 08:12:38.787786+00', 'final', '88.25', '1', '5');
INSERT INTO grading_meritdemerit (id, reason, issued_at, revoked_at, revoke_reason, kind, points, enrollment_id, issued_by_id, revoked_by_id) VALUES
    ('1', 'Macaraeg helped at the flag', '2026-11-24 08:12:37.935163+00', '2026-11-24 08:12:38.4992+00', 'The other cadet was meant.', 'merit', '10', '1', '5', '5'),
    ('2', 'Pangandaman helped at the flag', '2026-11-24 08:12:37.939053+00', NULL, '', 'merit', '15', '2', '5', NULL),
    ('3', 'First aid', '2026-11-24 08:12:38.475161+00', NULL, '', 'merit', '5', '1', '5', NULL);
INSERT INTO grading_adjustment (id, reason, issued_at, revoked_at, revoke_reason, component, points, enrollment_id, issued_by_id, revoked_by_id) VALUES
    ('1', 'Band', '2026-11-24 08:12:37.939613+00', '2026-11-24 08:12:38.535308+00', 'Counted twice.', 'aptitude', '1.00', '1', '7', '7'),
    ('2', 'Recount', '2026-11-24 08:12:38.51435+00', NULL, '', 'subject', '1.25', '1', '7', NULL);
INSERT INTO grading_gradesheet (id, revision, inputs, result, digest, frozen_at, superseded_at, enrollment_id, frozen_by_id) VALUES
    ('1', '1', '{"form": 1, "held": 0, "exams": {}, "awards": [], "closed": true, "policy": {"bands": [["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]], "subject_weight": "40.00", "aptitude_weight": "30.00", "attendance_weight": "30.00", "attended_statuses": ["present", "late", "excused"], "failing_equivalent": "5.00"}, "status": "ongoing", "term_id": 3, "cadet_id": 1, "by_status": {"late": 0, "absent": 0, "excused": 0, "present": 0}, "adjustments": [], "enrollment_id": 4}', '{"form": 1, "total": "30", "remark": "Failed", "subject": {"exams": {"final": null, "prelim": null, "midterm": null}, "points": "0", "maximum": "40", "computed": "0", "adjustments": []}, "aptitude": {"base": 100, "merits": 0, "points": "30", "maximum": "30", "computed": "30", "demerits": 0, "adjustments": [], "merits_unused": 0}, "attendance": {"held": 0, "points": null, "maximum": "30", "attended": 0, "computed": null, "by_status": {"late": 0, "absent": 0, "excused": 0, "present": 0}, "adjustments": []}, "equivalent": "5.00", "provisional": false}', '9e72587a3f08d91846ae3fba56df21eb6c1ec9eab00a98e27ca0a34509d68882', '2026-11-24 08:12:37.94186+00', NULL, '4', '7');
INSERT INTO operations_probe (id, requested_at, started_at, finished_at, worker, requested_by_id) VALUES
    ('60f40654-8e45-4cf2-9091-6027a24c77ef', '2026-11-24 08:12:37.982563+00', NULL, NULL, NULL, '7');
INSERT INTO ops.scheduled_run (id, job, slot, trigger, owner, lease_until, attempt, started_at, finished_at, outcome, counts) VALUES
    (1, 'daily-reports', '2026-11-24 06:00:00Z', 'schedule', 'cccccccc-0000-4000-8000-000000000001', '2026-11-24 06:05:00Z', 1, '2026-11-24 06:00:00Z', '2026-11-24 06:00:09Z', 'succeeded', '{"sign_ins": 2}'),
    (2, 'sync-attendance', '2026-11-24 08:00:00Z', 'schedule', 'cccccccc-0000-4000-8000-000000000002', '2026-11-24 08:05:00Z', 2, '2026-11-24 08:00:00Z', NULL, NULL, '{}');
-- As the release left the counters: the next rows come after these.
SELECT setval(pg_get_serial_sequence(name, 'id'), 100)
FROM unnest(ARRAY['accounts_user', 'accounts_revocation', 'accounts_tokengeneration', 'accounts_auditentry', 'accounts_attempts', 'accounts_invitation', 'cadets_term', 'cadets_company', 'cadets_platoon', 'cadets_cadet', 'cadets_enrollment', 'cadets_staffprofile', 'messaging_notification', 'messaging_room', 'messaging_message', 'messaging_readmark', 'messaging_announcement', 'messaging_announcementphoto', 'training_trainingday', 'training_attendancerecord', 'training_staffattendancerecord', 'training_excuseletter', 'grading_gradingpolicy', 'grading_examscore', 'grading_meritdemerit', 'grading_adjustment', 'grading_gradesheet', 'ops.scheduled_run']) AS name;
