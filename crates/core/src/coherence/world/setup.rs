//! What a world consists of: how many, what may fail, and which part of the protocol is left out.

/// What a world consists of, and how much may go wrong in it.
#[derive(Debug, Clone, Copy)]
pub(in crate::coherence) struct Setup {
    pub(in crate::coherence) nodes: usize,
    pub(in crate::coherence) observers: usize,
    pub(in crate::coherence) changes: i64,
    /// Statements, or answers to them, that are lost or late.
    pub(in crate::coherence) losses: u8,
    /// Nodes that are killed or leave, and start again under a new id.
    pub(in crate::coherence) ends: u8,
    pub(in crate::coherence) failover: Failover,
    /// Observers delete a row some time after they have found it; otherwise at once.
    pub(in crate::coherence) late_deletes: bool,
    /// A follower reads and applies in one, and hears the answer as soon as there is one; what a request loads is
    /// kept at once. The orders that this leaves out are looked at in worlds of one node; it makes room for more.
    pub(in crate::coherence) coarse: bool,
    /// Whose clock is slow; the others' are fast.
    pub(in crate::coherence) slow: Slow,
    pub(in crate::coherence) flaw: Option<Flaw>,
}

/// What becomes of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::coherence) enum Failover {
    /// Nothing.
    Never,
    /// The standby takes over and has all that was committed. The old one can still be reached and read.
    Synchronous,
    /// The same, but the last commit may be missing.
    Asynchronous,
}

/// Whose clock is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::coherence) enum Slow {
    Nodes,
    Others,
}

/// A part of the protocol that is left out, to see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::coherence) enum Flaw {
    TrustFromTheAnswer,
    TrustOnceRegistered,
    RenewBeforeApplying,
    LoadWithoutEpoch,
    LeaveBeforeTrustEnds,
    NumbersStartAgain,
    WaitWithoutDrift,
    WaitWithoutMargin,
    WaitForRowsOfTheOldServer,
    ObserveWithoutDrift,
    ObserveWithoutMargin,
    DeleteWhateverTheNumber,
    RenewWhateverTheNumber,
    RenewElsewhereThanRead,
    RenewWithoutStandby,
    RegisterWithWhatWasSeen,
    TakeTheLastEntryForGranted,
    LoadAfterLaterRegistrations,
    LoadFromAnyServer,
}
