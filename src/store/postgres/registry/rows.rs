//! Rows as columns, in the order in which they are asked for.

use tokio_postgres::Row;

use crate::store::columns::registry::{AuditRow, GroupRow, IntegrationRow, MuteRow, ProjectRow, TokenRow};

pub(super) fn integration(row: &Row) -> IntegrationRow {
    IntegrationRow {
        id: row.get(0),
        owner_kind: row.get(1),
        owner: row.get(2),
        slug: row.get(3),
        active: row.get(4),
        inherits: row.get(5),
        flags: row.get(6),
        properties: row.get(7),
        secrets: row.get(8),
        revision: row.get(9),
        created_at: row.get(10),
        updated_at: row.get(11),
    }
}

pub(super) fn project(row: &Row) -> ProjectRow {
    ProjectRow {
        id: row.get(0),
        path: row.get(1),
        learned_branch: row.get(2),
        learned_visibility: row.get(3),
        corrected_branch: row.get(4),
        corrected_visibility: row.get(5),
        protected_branches: row.get(6),
        revision: row.get(7),
        created_at: row.get(8),
        updated_at: row.get(9),
    }
}

pub(super) fn group(row: &Row) -> GroupRow {
    GroupRow {
        key: row.get(0),
        id: row.get(1),
        path: row.get(2),
        revision: row.get(3),
        created_at: row.get(4),
    }
}

pub(super) fn token(row: &Row) -> TokenRow {
    TokenRow {
        id: row.get(0),
        name: row.get(1),
        hash: row.get(2),
        reach_kind: row.get(3),
        reach: row.get(4),
        may: row.get(5),
        expires_at: row.get(6),
        revoked_at: row.get(7),
        revision: row.get(8),
        created_at: row.get(9),
    }
}

pub(super) fn mute(row: &Row) -> MuteRow {
    MuteRow {
        project: row.get(0),
        slug: row.get(1),
        channel: row.get(2),
        until: row.get(3),
        asked_by: row.get(4),
        revision: row.get(5),
    }
}

pub(super) fn audit_line(row: &Row) -> AuditRow {
    AuditRow {
        id: row.get(0),
        at: row.get(1),
        who: row.get(2),
        action: row.get(3),
        object: row.get(4),
        fields: row.get(5),
    }
}
