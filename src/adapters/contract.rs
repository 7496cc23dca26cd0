//! Contract tests over the table.
