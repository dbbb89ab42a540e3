//! What bounds the service's time and memory, whatever comes in. The limits of the rules, such as the bytes of a
//! body or the characters of a name, are in [`patron_core::limits`]; those that the operator sets, in
//! [`crate::config`]. What one part alone knows of, such as the longest prefix that is believed of a proxy, stands
//! in that part.

use std::time::Duration;

/// How long a client may take for its request line and headers, and a connection may be idle.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a body that is too large which are still taken in, and thrown away.
pub const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// How long they may take.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a handler may take, the streaming of its answer aside.
pub const HANDLER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long requests in flight may take when the service stops (contract section 1).
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head. An access token with 100 long scopes is 35 KiB.
pub const HEAD_BYTES: u32 = 96 * 1024;
/// Requests at once on one HTTP/2 connection.
pub const STREAMS: u32 = 128;
/// Open connections of a listener.
pub const CONNECTIONS: usize = 10_000;
/// PATs, identities and verified access tokens that are expected in memory, each.
pub const CACHED: usize = 100_000;
/// Bytes that PATs, identities and verified access tokens may take in memory, each.
pub const CACHED_BYTES: u64 = 64 * 1024 * 1024;
/// Client ids and addresses that a limiter keeps count of, each.
pub const COUNTED: usize = 100_000;
/// Rows that a list reads from the database at a time: what bounds a streamed list's memory.
pub const ROWS: u32 = 500;
/// Different failures that are counted apart between two writes to the audit trail; the rest is counted as one.
pub const DIFFERENT_FAILURES: usize = 1_000;
/// How long an answer waits for the uses that it shows to be written.
pub const SETTLE_TIMEOUT: Duration = Duration::from_millis(250);
/// Uses that may wait while the database is out of reach; further ones are dropped, which the log says.
pub const WAITING_USES: usize = 100_000;
