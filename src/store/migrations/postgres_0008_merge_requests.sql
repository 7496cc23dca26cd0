-- The merge requests that events told of lately; see SQLite's migration.
CREATE TABLE merge_requests (
    project_id        bigint NOT NULL,
    iid               bigint NOT NULL,
    source_project_id bigint NOT NULL,
    branch_key        bigint NOT NULL,
    state             text   NOT NULL,
    seen_at           bigint NOT NULL,
    PRIMARY KEY (project_id, iid)
);

CREATE INDEX merge_requests_open ON merge_requests (project_id, branch_key) WHERE state = 'opened';
CREATE INDEX merge_requests_seen ON merge_requests (seen_at);
