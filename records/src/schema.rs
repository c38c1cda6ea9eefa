//! The migrations, built into the program. They only go forward: a released file is never changed.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Connection, SqlSafeStr};

use crate::Error;
use crate::place::Place;

const SQLITE: &[Step] = &[
    Step { version: 1, name: "payouts", sql: include_str!("../migrations/sqlite/0001_payouts.sql") },
    Step { version: 2, name: "attempts_events", sql: include_str!("../migrations/sqlite/0002_attempts_events.sql") },
    Step { version: 3, name: "controls", sql: include_str!("../migrations/sqlite/0003_controls.sql") },
];

const POSTGRES: &[Step] = &[
    Step { version: 1, name: "payouts", sql: include_str!("../migrations/postgres/0001_payouts.sql") },
    Step { version: 2, name: "attempts_events", sql: include_str!("../migrations/postgres/0002_attempts_events.sql") },
    Step { version: 3, name: "controls", sql: include_str!("../migrations/postgres/0003_controls.sql") },
];

struct Step {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

/// Brings the database to this build's schema. Any number of processes may do so at once.
///
/// `run_direct` where `run` would do: the future of `run` cannot be shown to be `Send`
/// ("implementation of `Acquire` is not general enough").
pub(crate) async fn migrate(place: &Place, connection: &mut AnyConnection) -> Result<(), Error> {
    match place {
        Place::Sqlite { .. } => {
            // The library's own lock does nothing for SQLite, so one write transaction spans all steps.
            let mut all = connection.begin_with("BEGIN IMMEDIATE").await?;
            all.ensure_migrations_table(TABLE).await?;
            if !served_by_older(SQLITE, &mut all).await? {
                migrator(SQLITE).run_direct(None, &mut *all, false).await?;
            }
            all.commit().await?;
        }
        // The library takes an advisory lock and runs each step in a transaction of its own.
        Place::Postgres { .. } if may_migrate(connection).await? => {
            // Looked for and not made: the library makes it under its lock.
            let (noted,): (bool,) = sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                .fetch_one(&mut *connection)
                .await?;
            if !noted || !served_by_older(POSTGRES, connection).await? {
                migrator(POSTGRES).run_direct(None, connection, false).await?;
            }
        }
        Place::Postgres { .. } => expect_all_applied(connection).await?,
    }
    Ok(())
}

/// How the name of a migration ends that only adds what older builds need not know of.
const ADDS: &str = "_adds";

/// Whether a newer build has migrated the database, and only by what leaves it good for this one: during a deploy the
/// older build's workers finish what they began, and are started again when they end.
async fn served_by_older(steps: &'static [Step], connection: &mut AnyConnection) -> Result<bool, Error> {
    let ours = steps.last().map_or(0, |step| step.version);
    let newer: Vec<(String,)> = sqlx::query_as("SELECT description FROM _sqlx_migrations WHERE version > $1")
        .bind(ours)
        .fetch_all(connection)
        .await?;
    Ok(!newer.is_empty() && newer.iter().all(|(name,)| name.ends_with(ADDS)))
}

/// Whether this role may make tables. A worker's need not: see grants.sql.
async fn may_migrate(connection: &mut AnyConnection) -> Result<bool, Error> {
    let (may,): (Option<bool>,) =
        sqlx::query_as("SELECT has_schema_privilege(current_schema(), 'CREATE')").fetch_one(connection).await?;
    Ok(may.unwrap_or(true))
}

/// What the library does before it migrates, for a role that may only look.
async fn expect_all_applied(connection: &mut AnyConnection) -> Result<(), Error> {
    let applied = connection.list_applied_migrations(TABLE).await?;
    let ours = migrator(POSTGRES);
    if let Some(newer) = applied.iter().find(|it| !ours.version_exists(it.version))
        && !served_by_older(POSTGRES, connection).await?
    {
        return Err(MigrateError::VersionMissing(newer.version).into());
    }
    for step in ours.iter() {
        match applied.iter().find(|it| it.version == step.version) {
            Some(it) if it.checksum == step.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(step.version).into()),
            None => {
                return Err(Error::broken(format!(
                    "migration {} is not applied, and this role may not do it: open the records once as their owner",
                    step.version
                )));
            }
        }
    }
    Ok(())
}

/// Where the library notes what was applied.
const TABLE: &str = "_sqlx_migrations";

fn migrator(steps: &'static [Step]) -> Migrator {
    let migration = |step: &'static Step| {
        Migration::new(step.version, step.name.into(), MigrationType::Simple, step.sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_take_the_same_steps() {
        let names = |steps: &'static [Step]| steps.iter().map(|s| (s.version, s.name)).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
    }
}
