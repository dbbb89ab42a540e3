//! What PostgreSQL's errors mean to a transaction.

use std::error::Error as _;
use std::fmt::Write as _;

use patron_core::Error;
use tokio_postgres::error::SqlState;

/// Why a statement, or the database, failed.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Another transaction came first; run again, this one may succeed.
    Conflict(String),
    /// Something unique is there already: put there by another transaction, if the statement is right, of which this one
    /// could not know yet.
    Taken(String),
    /// What is to be deleted is referred to, or what is referred to is gone: perhaps by another transaction, of which this
    /// one could not know yet.
    Referred(String),
    /// The connection or its server cannot be used; another one may.
    Broken(String),
    /// The statement is wrong, or a constraint forbids it.
    Mistake(String),
}

impl Fault {
    /// Nothing but constraints' and columns' names are told of a failure: the rest of a server's report quotes values.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(report) = error.as_db_error() else {
            return if is_local(error) { Self::Mistake(told(error)) } else { Self::Broken(told(error)) };
        };
        let mut cause = format!("{} (SQLSTATE {})", report.message(), report.code().code());
        if let Some(constraint) = report.constraint() {
            let _ = write!(cause, ": {constraint}");
        }
        Self::classed(report.code(), cause)
    }

    fn classed(code: &SqlState, cause: String) -> Self {
        // The last has no other transaction behind it: this process stood still for so long that the server ended its own.
        const CONFLICTS: [SqlState; 3] = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        // What says that the connection is not what it was: a primary that became a standby, a transaction that was
        // ended or a prepared statement that was dropped behind our back.
        const LOST: [SqlState; 6] = [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            SqlState::IN_FAILED_SQL_TRANSACTION,
            SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::DUPLICATE_PSTATEMENT,
        ];
        // The classes in which a statement is right and the server cannot run it: connection, authorization, resources,
        // operator's intervention (timeouts, shutdown), system, configuration, and what is locked or corrupt.
        const BEYOND_REACH: [&str; 9] = ["08", "28", "3D", "53", "55", "57", "58", "F0", "XX"];
        if CONFLICTS.contains(code) {
            Self::Conflict(cause)
        } else if *code == SqlState::UNIQUE_VIOLATION {
            Self::Taken(cause)
        } else if *code == SqlState::FOREIGN_KEY_VIOLATION {
            Self::Referred(cause)
        } else if LOST.contains(code) || BEYOND_REACH.iter().any(|class| code.code().starts_with(class)) {
            Self::Broken(cause)
        } else {
            Self::Mistake(cause)
        }
    }

    pub(super) fn broken(cause: impl Into<String>) -> Self {
        Self::Broken(cause.into())
    }

    pub(super) fn cause(&self) -> &str {
        match self {
            Self::Conflict(cause)
            | Self::Taken(cause)
            | Self::Referred(cause)
            | Self::Broken(cause)
            | Self::Mistake(cause) => cause,
        }
    }

    pub(super) fn error(&self) -> Error {
        match self {
            Self::Conflict(cause) | Self::Broken(cause) => Error::unavailable(cause),
            Self::Taken(cause) | Self::Referred(cause) | Self::Mistake(cause) => Error::internal(cause),
        }
    }

    pub(super) fn prefixed(self, prefix: &str) -> Self {
        let told = |cause: String| format!("{prefix}: {cause}");
        match self {
            Self::Conflict(cause) => Self::Conflict(told(cause)),
            Self::Taken(cause) => Self::Taken(told(cause)),
            Self::Referred(cause) => Self::Referred(told(cause)),
            Self::Broken(cause) => Self::Broken(told(cause)),
            Self::Mistake(cause) => Self::Mistake(told(cause)),
        }
    }
}

/// Whether the failure is in this program: a value that does not fit its placeholder. Nothing was sent.
fn is_local(error: &tokio_postgres::Error) -> bool {
    !error.is_closed() && error.source().is_some_and(<dyn std::error::Error>::is::<super::value::Misfit>)
}

/// An error with what caused it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let _ = write!(text, ": {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_a_mistake_and_from_a_conflict() {
        for (code, kind) in [
            ("40001", "conflict"),
            ("40P01", "conflict"),
            ("08006", "broken"),
            ("25006", "broken"),
            ("25P03", "conflict"),
            ("26000", "broken"),
            ("40003", "broken"),
            ("28P01", "broken"),
            ("3D000", "broken"),
            ("53300", "broken"),
            ("55P03", "broken"),
            ("57014", "broken"),
            ("57P01", "broken"),
            ("57P03", "broken"),
            ("58030", "broken"),
            ("XX001", "broken"),
            ("23505", "taken"),
            ("23503", "referred"),
            ("22003", "mistake"),
            ("25001", "mistake"),
            ("42P01", "mistake"),
        ] {
            let found = match Fault::classed(&SqlState::from_code(code), String::new()) {
                Fault::Conflict(_) => "conflict",
                Fault::Taken(_) => "taken",
                Fault::Referred(_) => "referred",
                Fault::Broken(_) => "broken",
                Fault::Mistake(_) => "mistake",
            };
            assert_eq!(found, kind, "{code}");
        }
    }
}
