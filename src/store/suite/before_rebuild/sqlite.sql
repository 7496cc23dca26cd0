-- A store as version 2 of the schema has it, as `.dump` of sqlite3 writes it. The program of that version filled it
-- (commit a5f041f), with the key in `sqlite.key`. Never edit it: it stands for stores that exist.
PRAGMA application_id = 1178756460;
PRAGMA user_version = 2;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    answers_to  TEXT,              -- the trigger
    kind        TEXT    NOT NULL,
    project_id  INTEGER,
    project     TEXT,              -- the project's full path, or the group's
    subject     TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    digest      BLOB,              -- of the body, where the broker's message bore no id
    raw         BLOB    NOT NULL   -- last: the rest is read without it
) STRICT;
INSERT INTO events VALUES(1,'delivered','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000000000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2264656c697665726564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(2,'retried','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000002000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2272657472696564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(3,'behind','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000012000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22626568696e64222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(4,'leased','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000013000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226c6561736564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(5,'lapsed','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000014000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226c6170736564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(6,'failed','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000015000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226661696c6564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(7,'expired','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000015000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2265787069726564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(8,'cancelled','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000015000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2263616e63656c6c6564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(9,'resent','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000017000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22726573656e74222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(10,'held','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000021000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2268656c64222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(11,'no channel','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000023000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e6f206368616e6e656c222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(12,'no webhook','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000025000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e6f20776562686f6f6b222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(13,'no id','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000027000,X'0707070707070707070707070707070707070707070707070707070707070707',X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e6f206964222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(14,'posted 1','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000030000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22706f737465642031222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(15,'posted 2','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000031000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22706f737465642032222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO events VALUES(16,'posted 3','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000032000,NULL,X'7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22706f737465642033222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
) STRICT;
INSERT INTO inbox VALUES(14);
INSERT INTO inbox VALUES(16);
CREATE TABLE unwanted (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
) STRICT;
INSERT INTO unwanted VALUES(15);
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event       INTEGER NOT NULL REFERENCES events (seq),
    integration TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    step        INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL,
    news_since  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    settled_at  INTEGER,
    lease_node  TEXT,
    lease_until INTEGER,
    UNIQUE (event, integration, target)
) STRICT;
INSERT INTO deliveries VALUES(1,1,'acme/web:slack','#ops','hooks.slack.example',1,10,1,1700000000000,1699999995000,1700000000000,1700000001000,NULL,NULL);
INSERT INTO deliveries VALUES(2,2,'acme/web:slack','#ops','hooks.slack.example',1,0,2,1700000600000,1699999995000,1700000002000,NULL,NULL,NULL);
INSERT INTO deliveries VALUES(3,3,'acme/web:slack','#ops','hooks.slack.example',1,1,0,1700000012000,1699999995000,1700000012000,NULL,NULL,NULL);
INSERT INTO deliveries VALUES(4,4,'acme/web:mattermost','','chat.example',2,2,0,1700000013000,1699999995000,1700000013000,NULL,'a',1700005000000);
INSERT INTO deliveries VALUES(5,5,'acme/web:discord','','discord.example',3,2,0,1700000014000,1699999995000,1700000014000,NULL,'b',1700000074000);
INSERT INTO deliveries VALUES(6,6,'acme/web:slack','#dev','hooks.slack.example',4,20,1,1700000015000,1699999995000,1700000015000,1700000016000,NULL,NULL);
INSERT INTO deliveries VALUES(7,7,'acme/web:slack','#dev','hooks.slack.example',5,21,1,1700000015000,1699999995000,1700000015000,1700000016000,NULL,NULL);
INSERT INTO deliveries VALUES(8,8,'acme/web:slack','#dev','hooks.slack.example',6,22,1,1700000015000,1699999995000,1700000015000,1700000016000,NULL,NULL);
INSERT INTO deliveries VALUES(9,9,'acme/web:emails-on-push','ada@example.com','mail:example.com',7,0,0,1700000020000,1700000020000,1700000017000,NULL,NULL,NULL);
INSERT INTO deliveries VALUES(10,10,'acme/web:emails-on-push','bob@example.com','mail:example.com',8,0,1,1700002000000,1699999995000,1700000021000,NULL,NULL,NULL);
INSERT INTO deliveries VALUES(11,11,'acme/web:slack','#gone','hooks.slack.example',9,0,1,1700003000000,1699999995000,1700000023000,NULL,NULL,NULL);
INSERT INTO deliveries VALUES(12,12,'acme/web:discord','','discord.example/1',10,20,1,1700000025000,1699999995000,1700000025000,1700000026000,NULL,NULL);
INSERT INTO deliveries VALUES(13,13,'acme/web:slack','#ops','hooks.slack.example',11,10,1,1700000027000,1699999995000,1700000027000,1700000028000,NULL,NULL);
CREATE TABLE attempts (
    delivery   INTEGER NOT NULL REFERENCES deliveries (id),
    n          INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    status     INTEGER,
    note       TEXT    NOT NULL,
    PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;
INSERT INTO attempts VALUES(1,1,1700000001000,12,'delivered',200,'Delivered');
INSERT INTO attempts VALUES(2,1,1700000003000,12,'unavailable',503,'Waiting(2023-11-14T22:13:30Z)');
INSERT INTO attempts VALUES(2,2,1700000011000,12,'unavailable',503,'Waiting(2023-11-14T22:23:20Z)');
INSERT INTO attempts VALUES(6,1,1700000016000,12,'unavailable',503,'Failed');
INSERT INTO attempts VALUES(7,1,1700000016000,12,'unavailable',503,'Expired');
INSERT INTO attempts VALUES(8,1,1700000016000,12,'unavailable',503,'Cancelled');
INSERT INTO attempts VALUES(9,1,1700000018000,12,'unavailable',503,'Failed');
INSERT INTO attempts VALUES(10,1,1700000022000,12,'unavailable',503,'Waiting(2023-11-14T22:46:40Z)');
INSERT INTO attempts VALUES(11,1,1700000024000,12,'unavailable',503,'Waiting(2023-11-14T23:03:20Z)');
INSERT INTO attempts VALUES(12,1,1700000026000,12,'unavailable',503,'Failed');
INSERT INTO attempts VALUES(13,1,1700000028000,12,'delivered',200,'Delivered');
CREATE TABLE holds (
    key         TEXT    PRIMARY KEY,
    until       INTEGER NOT NULL,
    why         TEXT    NOT NULL,
    strikes     INTEGER NOT NULL,
    integration TEXT,              -- with the fingerprint: ends when these settings change
    fingerprint INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO holds VALUES('mail:example.com',1700002000000,'connection refused',3,NULL,NULL);
INSERT INTO holds VALUES('off:acme/web:discord>discord.example/1',1700090000000,'Unknown Webhook',1,'acme/web:discord',22);
INSERT INTO holds VALUES('route:acme/web:slack>#gone',1700003000000,'channel_not_found',2,'acme/web:slack',11);
CREATE TABLE quarantine (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT    NOT NULL,
    id          TEXT,
    reason      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    raw         BLOB    NOT NULL
) STRICT;
INSERT INTO quarantine VALUES(1,'amqp',NULL,'the body is no JSON',1700000040000,X'00ff7b');
INSERT INTO quarantine VALUES(2,'http','strange','it has no object_kind',1700000041000,X'7b7d');
CREATE TABLE registry (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO registry VALUES(1,19);
CREATE TABLE integrations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_kind TEXT    NOT NULL,
    owner      INTEGER NOT NULL,
    slug       TEXT    NOT NULL,
    active     INTEGER NOT NULL,
    inherits   INTEGER NOT NULL,
    flags      TEXT    NOT NULL,
    properties TEXT    NOT NULL,
    secrets    BLOB,              -- sealed; NULL where there are none
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (owner_kind, owner, slug)
) STRICT;
INSERT INTO integrations VALUES(1,'instance',0,'slack',1,0,'{"job_events":true,"push_events":false}','{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}',NULL,1,1700000050000,1700000050000);
INSERT INTO integrations VALUES(2,'group',1,'slack',1,0,'{"job_events":true,"push_events":false}','{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}',X'01fcda67f4e5ddd639ad298270edca1e0b1035f0a07d3a5c55a5002163d00c88f4a77bb370f7fedc361820c2b18d5745691b2414c162ecefbe179e74158d655e9b802144d81a82d87ff8cfd1c6133d82f4bed81f',4,1700000053000,1700000053000);
INSERT INTO integrations VALUES(3,'project',42,'slack',1,0,'{"job_events":true,"push_events":false}','{"channel":"#new"}',X'01fcda67f4e5ddd639b46dd73fd41645e93e487242b90d99b9c40614acdaef7f0184cb7fd30d130a4242098393edc77f7703c65a0505b0f077ae11910f044b139bf70dd131042fa5b64823f5f6d44e9ef530',6,1700000054000,1700000055000);
INSERT INTO integrations VALUES(5,'project',43,'slack',1,1,'{}','{}',NULL,7,1700000056000,1700000056000);
INSERT INTO integrations VALUES(6,'project',43,'discord',0,0,'{"job_events":true,"push_events":false}','{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}',X'01fcda67f4e5ddd6396c09d6d8267859f3d4e3febd63c396eea5eb13db4d5937abb3705d12df28b893d74ef062aaa2ccf0a4f34505025331e7060e3ed51b8bbeeec5e1a856d1ae705676615b',8,1700000057000,1700000057000);
CREATE TABLE projects (
    id                   INTEGER PRIMARY KEY, -- the forge's number
    path                 TEXT COLLATE NOCASE,
    learned_branch       TEXT,
    learned_visibility   TEXT,
    corrected_branch     TEXT,
    corrected_visibility TEXT,
    protected_branches   TEXT,
    revision             INTEGER NOT NULL,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL
) STRICT;
INSERT INTO projects VALUES(42,'acme/web','main','private','trunk','public','["trunk","release/*"]',13,1700000058000,1700000060000);
INSERT INTO projects VALUES(43,NULL,NULL,NULL,NULL,NULL,NULL,11,1700000058000,1700000059000);
INSERT INTO projects VALUES(44,'acme/api',NULL,NULL,NULL,NULL,NULL,12,1700000059000,1700000059000);
CREATE TABLE groups (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         INTEGER UNIQUE,    -- the forge's number
    path       TEXT COLLATE NOCASE UNIQUE,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO "groups" VALUES(1,9,'acme',2,1700000051000);
INSERT INTO "groups" VALUES(2,NULL,'acme/tools',3,1700000052000);
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    reach_kind TEXT    NOT NULL,
    reach      INTEGER NOT NULL,
    may        TEXT    NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO tokens VALUES(1,'admin',X'8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918','instance',0,'maintain',NULL,NULL,14,1700000061000);
INSERT INTO tokens VALUES(2,'group',X'ad936fcbed631fa67e05c3ea03953905221c9d46af0616b70badf105a966fb11','group',1,'read',1700009999000,NULL,15,1700000061000);
INSERT INTO tokens VALUES(3,'forge',X'71b41d6dd48dc58eba8f5cf9edf30fef6597fdf285a521bb8fcbad4b3d50887d','project',42,'ingest',NULL,1700000062000,17,1700000061000);
CREATE TABLE mutes (
    project  INTEGER NOT NULL,
    slug     TEXT    NOT NULL,
    channel  TEXT    NOT NULL,
    until    INTEGER NOT NULL,
    asked_by TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (project, slug, channel)
) STRICT, WITHOUT ROWID;
INSERT INTO mutes VALUES(42,'slack','dev',1700000060000,'@ada',19);
INSERT INTO mutes VALUES(42,'slack','ops',1700005000000,'@ada',18);
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL,
    fields TEXT    NOT NULL        -- names, never values
) STRICT;
INSERT INTO audit VALUES(1,1700000020000,'token ci (3)','delivery.retry','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(2,1700000050000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(3,1700000051000,'token ci (3)','group.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(4,1700000052000,'token ci (3)','group.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(5,1700000053000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(6,1700000054000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(7,1700000055000,'token ci (3)','integration.update','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(8,1700000056000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(9,1700000057000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(10,1700000060000,'token ci (3)','project.update','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(11,1700000061000,'token ci (3)','token.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(12,1700000061000,'token ci (3)','token.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(13,1700000061000,'token ci (3)','token.create','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(14,1700000062000,'token ci (3)','token.revoke','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(15,1700000063000,'token ci (3)','mute','project 42 slack','["webhook","push_events"]');
INSERT INTO audit VALUES(16,1700000063000,'token ci (3)','mute','project 42 slack','["webhook","push_events"]');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('events',16);
INSERT INTO sqlite_sequence VALUES('deliveries',13);
INSERT INTO sqlite_sequence VALUES('audit',16);
INSERT INTO sqlite_sequence VALUES('quarantine',2);
INSERT INTO sqlite_sequence VALUES('integrations',6);
INSERT INTO sqlite_sequence VALUES('groups',2);
INSERT INTO sqlite_sequence VALUES('tokens',3);
CREATE INDEX events_digest ON events (digest) WHERE digest IS NOT NULL;
CREATE INDEX deliveries_ready   ON deliveries (destination, due)        WHERE step = 0;
CREATE INDEX deliveries_lane    ON deliveries (lane)                    WHERE step <= 1;
CREATE INDEX deliveries_leases  ON deliveries (lease_node, lease_until) WHERE step = 2;
CREATE INDEX deliveries_settled ON deliveries (step, settled_at)        WHERE settled_at IS NOT NULL;
CREATE INDEX deliveries_dead    ON deliveries (step)                    WHERE step >= 20;
CREATE INDEX holds_until ON holds (until);
CREATE INDEX quarantine_received_at ON quarantine (received_at);
CREATE INDEX integrations_revision ON integrations (revision);
CREATE UNIQUE INDEX projects_path     ON projects (path);
CREATE INDEX projects_revision ON projects (revision);
CREATE INDEX groups_revision ON groups (revision);
CREATE INDEX tokens_revision ON tokens (revision);
CREATE INDEX mutes_revision ON mutes (revision);
COMMIT;
