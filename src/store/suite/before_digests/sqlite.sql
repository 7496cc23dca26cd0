-- A store as version 3 of the schema has it, as `.dump` of sqlite3 writes it. The program of that version upgraded the
-- store in `before_rebuild` and added to it (commit cbdab32), with the same key. Never edit it: it stands for stores that
-- exist.
PRAGMA application_id = 1178756460;
PRAGMA user_version = 3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO "attempts" VALUES(1,1,1700000001000,12,'delivered',200,'Delivered');
INSERT INTO "attempts" VALUES(2,1,1700000003000,12,'unavailable',503,'Waiting(2023-11-14T22:13:30Z)');
INSERT INTO "attempts" VALUES(2,2,1700000011000,12,'unavailable',503,'Waiting(2023-11-14T22:23:20Z)');
INSERT INTO "attempts" VALUES(6,1,1700000016000,12,'unavailable',503,'Failed');
INSERT INTO "attempts" VALUES(7,1,1700000016000,12,'unavailable',503,'Expired');
INSERT INTO "attempts" VALUES(8,1,1700000016000,12,'unavailable',503,'Cancelled');
INSERT INTO "attempts" VALUES(9,1,1700000018000,12,'unavailable',503,'Failed');
INSERT INTO "attempts" VALUES(10,1,1700000022000,12,'unavailable',503,'Waiting(2023-11-14T22:46:40Z)');
INSERT INTO "attempts" VALUES(11,1,1700000024000,12,'unavailable',503,'Waiting(2023-11-14T23:03:20Z)');
INSERT INTO "attempts" VALUES(12,1,1700000026000,12,'unavailable',503,'Failed');
INSERT INTO "attempts" VALUES(13,1,1700000028000,12,'delivered',200,'Delivered');
INSERT INTO "attempts" VALUES(19,1,1700000200000,0,'cancelled',NULL,'replaced by a newer state');
INSERT INTO "attempts" VALUES(21,1,1700000201000,12,'unavailable',503,'Skipped');
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL,
    fields TEXT    NOT NULL        -- names, never values
) STRICT;
INSERT INTO "audit" VALUES(1,1700000020000,'token ci (3)','delivery.retry','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(2,1700000050000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(3,1700000051000,'token ci (3)','group.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(4,1700000052000,'token ci (3)','group.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(5,1700000053000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(6,1700000054000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(7,1700000055000,'token ci (3)','integration.update','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(8,1700000056000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(9,1700000057000,'token ci (3)','integration.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(10,1700000060000,'token ci (3)','project.update','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(11,1700000061000,'token ci (3)','token.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(12,1700000061000,'token ci (3)','token.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(13,1700000061000,'token ci (3)','token.create','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(14,1700000062000,'token ci (3)','token.revoke','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(15,1700000063000,'token ci (3)','mute','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(16,1700000063000,'token ci (3)','mute','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(17,1700000203000,'token ci (3)','mute','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(18,1700000203000,'token ci (3)','mute','project 42 slack','["webhook","push_events"]');
INSERT INTO "audit" VALUES(19,1700000205000,'token ci (3)','group.create','project 42 slack','["webhook","push_events"]');
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event       INTEGER NOT NULL REFERENCES events (seq),
    integration TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL,
    fresh_since  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    settled_at  INTEGER,
    lease_node  TEXT,
    lease_until INTEGER, replaces INTEGER NOT NULL DEFAULT 0,
    UNIQUE (event, integration, target)
) STRICT;
INSERT INTO "deliveries" VALUES(1,1,'acme/web:slack','#ops','hooks.slack.example',1,10,1,1700000000000,1699999995000,1700000000000,1700000001000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(2,2,'acme/web:slack','#ops','hooks.slack.example',1,0,2,1700000600000,1699999995000,1700000002000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(3,3,'acme/web:slack','#ops','hooks.slack.example',1,1,0,1700000012000,1699999995000,1700000012000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(4,4,'acme/web:mattermost','','chat.example',2,2,0,1700000013000,1699999995000,1700000013000,NULL,'a',1700005000000,0);
INSERT INTO "deliveries" VALUES(5,5,'acme/web:discord','','discord.example',3,0,0,1700000014000,1699999995000,1700000014000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(6,6,'acme/web:slack','#dev','hooks.slack.example',4,20,1,1700000015000,1699999995000,1700000015000,1700000016000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(7,7,'acme/web:slack','#dev','hooks.slack.example',5,21,1,1700000015000,1699999995000,1700000015000,1700000016000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(8,8,'acme/web:slack','#dev','hooks.slack.example',6,22,1,1700000015000,1699999995000,1700000015000,1700000016000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(9,9,'acme/web:emails-on-push','ada@example.com','mail:example.com',7,0,0,1700000020000,1700000020000,1700000017000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(10,10,'acme/web:emails-on-push','bob@example.com','mail:example.com',8,0,1,1700002000000,1699999995000,1700000021000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(11,11,'acme/web:slack','#gone','hooks.slack.example',9,0,1,1700003000000,1699999995000,1700000023000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(12,12,'acme/web:discord','','discord.example/1',10,20,1,1700000025000,1699999995000,1700000025000,1700000026000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(13,13,'acme/web:slack','#ops','hooks.slack.example',11,10,1,1700000027000,1699999995000,1700000027000,1700000028000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(14,17,'acme/web:slack','#büro','hooks.slack.example',77,0,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(15,17,'acme/web:slack','#Büro','hooks.slack.example',77,1,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(16,17,'acme/web:slack','','hooks.slack.example',77,1,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(17,18,'acme/web:slack','#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','hooks.slack.example',77,1,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(18,18,'acme/web:slack','#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy','hooks.slack.example',77,1,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(19,19,'acme/web:slack','#state','hooks.slack.example',78,22,0,1700000200000,1699999995000,1700000200000,1700000200000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(20,20,'acme/web:slack','#state','hooks.slack.example',78,0,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,1);
INSERT INTO "deliveries" VALUES(21,21,'acme/web:slack','#skip','hooks.slack.example',79,11,1,1700000200000,1699999995000,1700000200000,1700000201000,NULL,NULL,0);
INSERT INTO "deliveries" VALUES(22,22,'acme/web:slack','#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxz','other.example',80,0,0,1700000200000,1699999995000,1700000200000,NULL,NULL,NULL,0);
CREATE TABLE "discarded" (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
) STRICT;
INSERT INTO "discarded" VALUES(15);
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    trigger  TEXT,              -- the trigger
    kind        TEXT    NOT NULL,
    project_id  INTEGER,
    project     TEXT,              -- the project's full path, or the group's
    subject     TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    digest      BLOB,              -- of the body, where the broker's message bore no id
    raw         BLOB    NOT NULL   -- last: the rest is read without it
) STRICT;
INSERT INTO "events" VALUES(1,'delivered','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000000000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2264656C697665726564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(2,'retried','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000002000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2272657472696564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(3,'behind','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000012000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A22626568696E64222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(4,'leased','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000013000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226C6561736564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(5,'lapsed','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000014000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226C6170736564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(6,'failed','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000015000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226661696C6564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(7,'expired','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000015000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2265787069726564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(8,'cancelled','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000015000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2263616E63656C6C6564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(9,'resent','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000017000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A22726573656E74222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(10,'held','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000021000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2268656C64222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(11,'no channel','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000023000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226E6F206368616E6E656C222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(12,'no webhook','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000025000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226E6F20776562686F6F6B222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(13,'no id','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000027000,X'0707070707070707070707070707070707070707070707070707070707070707',X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226E6F206964222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(14,'posted 1','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000030000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A22706F737465642031222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(15,'posted 2','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000031000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A22706F737465642032222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(16,'posted 3','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000032000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A22706F737465642033222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(17,'two channels','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000200000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2274776F206368616E6E656C73222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(18,'a long channel','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000200000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2261206C6F6E67206368616E6E656C222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(19,'older state','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000200000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226F6C646572207374617465222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(20,'newer state','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000200000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A226E65776572207374617465222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(21,'skipped','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000200000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A22736B6970706564222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
INSERT INTO "events" VALUES(22,'held by a long route','push','push',7,'acme/web','ref:refs/heads/main',1699999995000,1700000200000,NULL,X'7B226F626A6563745F6B696E64223A2270757368222C22726566223A22726566732F68656164732F6D61696E222C226166746572223A2268656C642062792061206C6F6E6720726F757465222C0A2020202020202020202020202270726F6A656374223A7B226964223A372C22706174685F776974685F6E616D657370616365223A2261636D652F776562227D7D');
CREATE TABLE groups (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         INTEGER UNIQUE,    -- the forge's number
    path       TEXT COLLATE NOCASE UNIQUE,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO "groups" VALUES(1,9,'acme',2,1700000051000);
INSERT INTO "groups" VALUES(2,NULL,'acme/tools',3,1700000052000);
INSERT INTO "groups" VALUES(3,70,'Acme/Deep/Group',24,1700000205000);
CREATE TABLE holds (
    kind        TEXT    NOT NULL,  -- destination, route, address, bucket
    integration TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    cause       TEXT    NOT NULL,  -- as an attempt's outcome
    reason      TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    strikes     INTEGER NOT NULL,
    made_by     TEXT,
    fingerprint INTEGER,
    PRIMARY KEY (kind, integration, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "holds" VALUES('address','acme/web:discord','discord.example/1','switched_off','Unknown Webhook',1795986397000,1700090000000,1,'acme/web:discord',22);
INSERT INTO "holds" VALUES('bucket','','slack-token:0123','throttled','it said so',1700000000000,1700004000000,1,NULL,NULL);
INSERT INTO "holds" VALUES('destination','','mail:example.com','throttled','connection refused',1795986397000,1700002000000,3,NULL,NULL);
INSERT INTO "holds" VALUES('destination','','other.example','unavailable','it said so',1700000000000,1700004500000,1,NULL,NULL);
INSERT INTO "holds" VALUES('route','acme/web:slack','#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxz','misconfigured','it said so',1700000000000,1700005000000,1,NULL,NULL);
INSERT INTO "holds" VALUES('route','acme/web:slack','#gone','misconfigured','channel_not_found',1795986397000,1700003000000,2,'acme/web:slack',11);
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
) STRICT;
INSERT INTO "inbox" VALUES(14);
INSERT INTO "inbox" VALUES(16);
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
INSERT INTO "integrations" VALUES(1,'instance',0,'slack',1,0,'{"job_events":true,"push_events":false}','{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}',NULL,1,1700000050000,1700000050000);
INSERT INTO "integrations" VALUES(2,'group',1,'slack',1,0,'{"job_events":true,"push_events":false}','{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}',X'01FCDA67F4E5DDD639AD298270EDCA1E0B1035F0A07D3A5C55A5002163D00C88F4A77BB370F7FEDC361820C2B18D5745691B2414C162ECEFBE179E74158D655E9B802144D81A82D87FF8CFD1C6133D82F4BED81F',4,1700000053000,1700000053000);
INSERT INTO "integrations" VALUES(3,'project',42,'slack',1,0,'{"job_events":true,"push_events":false}','{"channel":"#new"}',X'01FCDA67F4E5DDD639B46DD73FD41645E93E487242B90D99B9C40614ACDAEF7F0184CB7FD30D130A4242098393EDC77F7703C65A0505B0F077AE11910F044B139BF70DD131042FA5B64823F5F6D44E9EF530',6,1700000054000,1700000055000);
INSERT INTO "integrations" VALUES(5,'project',43,'slack',1,1,'{}','{}',NULL,7,1700000056000,1700000056000);
INSERT INTO "integrations" VALUES(6,'project',43,'discord',0,0,'{"job_events":true,"push_events":false}','{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}',X'01FCDA67F4E5DDD6396C09D6D8267859F3D4E3FEBD63C396EEA5EB13DB4D5937ABB3705D12DF28B893D74EF062AAA2CCF0A4F34505025331E7060E3ED51B8BBEEEC5E1A856D1AE705676615B',8,1700000057000,1700000057000);
CREATE TABLE mutes (
    project  INTEGER NOT NULL,
    slug     TEXT    NOT NULL,
    channel  TEXT    NOT NULL,
    until    INTEGER NOT NULL,
    asked_by TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (project, slug, channel)
) STRICT, WITHOUT ROWID;
INSERT INTO "mutes" VALUES(42,'slack','dev',1700000060000,'@ada',19);
INSERT INTO "mutes" VALUES(42,'slack','ops',1700005000000,'@ada',18);
INSERT INTO "mutes" VALUES(44,'slack','#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',1700009000000,'@ada',21);
INSERT INTO "mutes" VALUES(44,'slack','büro',1700009000000,'@ada',20);
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
INSERT INTO "projects" VALUES(42,'acme/web','main','private','trunk','public','["trunk","release/*"]',13,1700000058000,1700000060000);
INSERT INTO "projects" VALUES(43,NULL,NULL,NULL,NULL,NULL,NULL,11,1700000058000,1700000059000);
INSERT INTO "projects" VALUES(44,'acme/api',NULL,NULL,NULL,NULL,NULL,12,1700000059000,1700000059000);
INSERT INTO "projects" VALUES(50,'Acme/Über',NULL,NULL,NULL,NULL,NULL,22,1700000204000,1700000204000);
INSERT INTO "projects" VALUES(51,'acme/pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp',NULL,NULL,NULL,NULL,NULL,23,1700000204000,1700000204000);
CREATE TABLE quarantine (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT    NOT NULL,
    id          TEXT,
    reason      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    raw         BLOB    NOT NULL
) STRICT;
INSERT INTO "quarantine" VALUES(1,'amqp',NULL,'the body is no JSON',1700000040000,X'00FF7B');
INSERT INTO "quarantine" VALUES(2,'http','strange','it has no object_kind',1700000041000,X'7B7D');
CREATE TABLE registry (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO "registry" VALUES(1,24);
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
INSERT INTO "tokens" VALUES(1,'admin',X'8C6976E5B5410415BDE908BD4DEE15DFB167A9C873FC4BB8A81F6F2AB448A918','instance',0,'maintain',NULL,NULL,14,1700000061000);
INSERT INTO "tokens" VALUES(2,'group',X'AD936FCBED631FA67E05C3EA03953905221C9D46AF0616B70BADF105A966FB11','group',1,'read',1700009999000,NULL,15,1700000061000);
INSERT INTO "tokens" VALUES(3,'forge',X'71B41D6DD48DC58EBA8F5CF9EDF30FEF6597FDF285A521BB8FCBAD4B3D50887D','project',42,'ingest',NULL,1700000062000,17,1700000061000);
CREATE INDEX events_digest ON events (digest) WHERE digest IS NOT NULL;
CREATE INDEX deliveries_ready   ON deliveries (destination, due)        WHERE state = 0;
CREATE INDEX deliveries_lane    ON deliveries (lane)                    WHERE state <= 1;
CREATE INDEX deliveries_leases  ON deliveries (lease_node, lease_until) WHERE state = 2;
CREATE INDEX deliveries_settled ON deliveries (state, settled_at)        WHERE settled_at IS NOT NULL;
CREATE INDEX deliveries_dead    ON deliveries (state)                    WHERE state >= 20;
CREATE INDEX quarantine_received_at ON quarantine (received_at);
CREATE INDEX integrations_revision ON integrations (revision);
CREATE UNIQUE INDEX projects_path     ON projects (path);
CREATE INDEX projects_revision ON projects (revision);
CREATE INDEX groups_revision ON groups (revision);
CREATE INDEX tokens_revision ON tokens (revision);
CREATE INDEX mutes_revision ON mutes (revision);
CREATE INDEX deliveries_skipped ON deliveries (state) WHERE state = 11;
CREATE INDEX deliveries_replacing ON deliveries (lane, id) WHERE replaces = 1;
CREATE INDEX holds_until ON holds (until);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',22);
INSERT INTO "sqlite_sequence" VALUES('deliveries',22);
INSERT INTO "sqlite_sequence" VALUES('audit',19);
INSERT INTO "sqlite_sequence" VALUES('quarantine',2);
INSERT INTO "sqlite_sequence" VALUES('integrations',6);
INSERT INTO "sqlite_sequence" VALUES('groups',3);
INSERT INTO "sqlite_sequence" VALUES('tokens',3);
COMMIT;
