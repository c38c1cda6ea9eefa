//! Which of the provider's objects belong to which payout, for ever.

use sqlx::{AnyConnection, Row};

use crate::row::{claimed, usable};
use crate::{Error, Records};

/// What kind of thing at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A payout.
    Payout,
    /// A transfer on chain.
    Transfer,
    /// An approval that one of the provider's policies asks for.
    Approval,
}

impl ObjectKind {
    /// The word on record; never changed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Transfer => "transfer",
            Self::Approval => "approval",
        }
    }

    pub(crate) fn parse(word: &str) -> Result<Self, Error> {
        [Self::Payout, Self::Transfer, Self::Approval].into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
            Error::broken(format!(
                "kind: {word:?} on record; expected payout, transfer or approval: run the newer build"
            ))
        })
    }
}

/// What mapping an object found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// Mapped by this call.
    Now,
    /// Mapped to this key before.
    Already,
    /// Mapped to another key before, which stays.
    Other {
        /// The one on record.
        key: String,
    },
}

impl Records {
    /// Maps an object of the provider to the payout it belongs to, and with it the objects that stored events name
    /// together with it. The first mapping stays, for ever.
    ///
    /// Afterwards, whatever this finds, look for events that came before: [`Records::waiting_for_key`].
    ///
    /// # Errors
    /// `Broken`: the id is not usable, or the key is not claimed. `Unavailable`: no answer; repeating it is safe.
    pub async fn map_object(&self, kind: ObjectKind, id: &str, key: &str) -> Result<Mapped, Error> {
        self.bounded(format!("map the provider's {} {id:?} to payout {key:?}", kind.as_str()), async {
            usable("id", id, 255)?;
            let mut tx = self.begin().await?;
            claimed(&mut tx, key).await?;
            let mapped = map(&mut tx, kind, id, key).await?;
            tx.commit().await?;
            self.join_events(key).await?;
            Ok(mapped)
        })
        .await
    }

    /// The key that an object of the provider belongs to, if it was mapped.
    ///
    /// # Errors
    /// As any call.
    pub async fn key_of_object(&self, kind: ObjectKind, id: &str) -> Result<Option<String>, Error> {
        self.bounded(format!("find the payout of the provider's {} {id:?}", kind.as_str()), async {
            let mut connection = self.pool.acquire().await?;
            key_of(&mut connection, kind, id).await
        })
        .await
    }
}

/// Maps within a transaction. The key must be claimed.
pub(crate) async fn map(
    connection: &mut AnyConnection,
    kind: ObjectKind,
    id: &str,
    key: &str,
) -> Result<Mapped, Error> {
    let mapped = sqlx::query(
        "INSERT INTO provider_objects (kind, object, payout_key, mapped_at) \
         VALUES ($1, $2, $3, (SELECT now_us FROM clock)) ON CONFLICT (kind, object) DO NOTHING",
    )
    .bind(kind.as_str())
    .bind(id)
    .bind(key)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if mapped == 1 {
        return Ok(Mapped::Now);
    }
    match key_of(connection, kind, id).await? {
        Some(on_record) if on_record == key => Ok(Mapped::Already),
        Some(on_record) => Ok(Mapped::Other { key: on_record }),
        None => Err(Error::broken("the mapping just written is not on record")),
    }
}

async fn key_of(connection: &mut AnyConnection, kind: ObjectKind, id: &str) -> Result<Option<String>, Error> {
    let found = sqlx::query("SELECT payout_key FROM provider_objects WHERE kind = $1 AND object = $2")
        .bind(kind.as_str())
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|row| row.try_get("payout_key")).transpose()?)
}
