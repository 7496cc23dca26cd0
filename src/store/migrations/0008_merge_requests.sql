-- The merge requests that events told of lately, for builds that do not start where an open one has the branch.
-- `branch_key` is a digest of the source branch: a branch may have any length.
CREATE TABLE merge_requests (
    project_id        INTEGER NOT NULL,
    iid               INTEGER NOT NULL,
    source_project_id INTEGER NOT NULL,
    branch_key        INTEGER NOT NULL,
    state             TEXT    NOT NULL,
    seen_at           INTEGER NOT NULL,
    PRIMARY KEY (project_id, iid)
) STRICT, WITHOUT ROWID;

CREATE INDEX merge_requests_open ON merge_requests (project_id, branch_key) WHERE state = 'opened';
CREATE INDEX merge_requests_seen ON merge_requests (seen_at);
