//! What bounds the service's time and memory, whatever comes in. The limits of the rules, such as the bytes of a
//! body or the characters of a name, are in [`patron_core::limits`]; those that the operator sets, in
//! [`crate::config`]; those of the database, such as how many writes may wait, in `patron_store::driver`. A number that
//! says how a part works, such as the buckets of a window, stands in that part.

use std::time::Duration;

/// How long a client may take for its request line and headers, and a connection that no request is being handled on
/// may be without a byte in either direction.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a body that is too large which are still taken in, and thrown away.
pub const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// How long they may take.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a handler may take, the streaming of its answer aside.
pub const HANDLER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a connection may be without a byte in either direction while a request is being handled on it: longer than
/// a handler may take.
pub const HANDLING_TIMEOUT: Duration = HANDLER_TIMEOUT.saturating_add(HEADER_TIMEOUT);
/// How long a peer that was idle has for the end of its connection, once it was told of it.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests in flight may take when the service stops (contract section 1).
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head. An access token with 100 long scopes is 35 KiB.
pub const HEAD_BYTES: u32 = 96 * 1024;
/// Bytes of an access token that is looked at. One of 100 long scopes has some 40 KiB.
pub const TOKEN_BYTES: usize = 64 * 1024;
/// Bytes of a multipart form's boundary (RFC 2046 section 5.1.1).
pub const BOUNDARY_BYTES: usize = 70;
/// Bytes of a path prefix that a proxy tells of.
pub const PREFIX_BYTES: usize = 256;
/// Bytes of a host that a proxy tells of: a DNS name, a colon and a port.
pub const HOST_BYTES: usize = 253 + 6;
/// Bytes of the settings file.
pub const CONFIG_FILE_BYTES: u64 = 1024 * 1024;
/// Bytes of the master key's file that are read.
pub const MASTER_KEY_FILE_BYTES: u64 = 1_024;
/// Requests at once on one HTTP/2 connection.
pub const STREAMS: u32 = 32;
/// Requests that are being handled at once; further ones are told 503.
pub const REQUESTS: usize = 4_096;
/// Open connections of a listener.
pub const CONNECTIONS: u32 = 10_000;
/// Open connections of one address (an IPv6 address stands for its /64) that is no trusted proxy's.
pub const CONNECTIONS_PER_ADDRESS: u32 = 1_000;
/// PATs, identities and verified access tokens that are expected in memory, each.
pub const CACHED: usize = 100_000;
/// What PATs, identities and verified access tokens may take in memory together, in MiB, by default.
pub const CACHE_MEBIBYTES: u32 = 232;
/// How much of that is for each of them, in hundredths. An exchange needs a PAT and its owner, who has others; whoever
/// asks about an access token asks about those of the last twelve hours at most.
pub const CACHE_SHARES: [u64; 3] = [48, 31, 21];
/// Client ids and addresses that a limiter keeps count of, each; and as many that other nodes have counted.
pub const COUNTED: usize = 100_000;
/// How often a node publishes what it has counted and reads what the others have.
pub const RECONCILE_INTERVAL: Duration = Duration::from_millis(500);
/// Keys of one counter that it publishes at a time; of more, those with most hits first.
pub const PUBLISHED_AT_ONCE: usize = 250;
/// Keys of other nodes that it reads at a time; of more, those published last.
pub const TAKEN_IN_AT_ONCE: u32 = 20_000;
/// Rows of a table that is shown a page at a time.
pub const PAGE_ROWS: u32 = 50;
/// The highest page of such a table that can be asked for.
pub const PAGES: u32 = 1_000_000;
/// Owners whom the dashboard names, those with the most PATs that never expire.
pub const DASHBOARD_OWNERS: u32 = 10;
/// Tokens that the preview of a bulk change lists; of the rest it tells the number.
pub const PREVIEW_ROWS: usize = 200;
/// Fields of a page's form: 100 scopes, or a page of tokens that are ticked, and what else is in it.
pub const PAGE_FORM_FIELDS: usize = 256;
/// Tokens that an administrator can change or delete at once from a page.
pub const BULK_TOKENS: u32 = 5_000;
// That there are more than can be changed is told from how many there are.
const _: () = assert!(BULK_TOKENS < patron_core::limits::COUNTED_PATS);
/// PATs that one transaction changes or deletes: a part of what an administrator does to many.
pub const CHANGED_AT_ONCE: usize = 50;
/// How long that may take before no further part of it begins: short enough that its answer, and a last part that waits
/// for the database, is within [`HANDLER_TIMEOUT`].
pub const BULK_TIME: Duration = Duration::from_secs(30);
/// Days ahead that a link to the form of a new token may name: to the end of the calendar and no further.
pub const LINK_DAYS: i64 = 3_000_000;
/// Days that a filter of a page looks back or ahead: a hundred years.
pub const FILTER_DAYS: i64 = 36_525;
/// Passwords that may wait for their hash, which takes tens of milliseconds each; further ones are told 503.
pub const PASSWORDS_WAITING: usize = 64;
/// Wrong passwords that a login name, or a browser or a session that is known, may see in [`GUESS_WINDOW_SECONDS`].
pub const GUESSES: u32 = 10;
/// Wrong passwords that may come from an address in that time.
pub const GUESSES_PER_ADDRESS: u32 = 100;
/// How long a wrong password counts: a login name is tried less than a thousand times a day.
pub const GUESS_WINDOW_SECONDS: u32 = 15 * 60;
/// Bytes of the path that a browser goes on to after signing in.
pub const NEXT_BYTES: usize = 2_048;
/// How often it is looked what has expired: that is recorded within a minute (contract section 11).
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(20);
/// Expired PATs that one transaction records.
pub const EXPIRED_AT_ONCE: u32 = 500;
/// Rows that a list reads from the database at a time: what bounds a streamed list's memory.
pub const ROWS: u32 = 500;
/// Different failures that are counted apart between two writes to the audit trail; the rest is counted as one.
pub const DIFFERENT_FAILURES: usize = 1_000;
/// How long a use may wait in memory before it is written.
pub const RECORD_INTERVAL: Duration = Duration::from_millis(500);
/// Failed uses are counted over this many of these intervals, unless somebody looks at the trail.
pub const FAILURE_INTERVALS: u32 = 10;
/// How long an answer waits for the uses that it shows to be written.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Uses that may wait while the database is out of reach; further ones are dropped, which the log says.
pub const WAITING_USES: usize = 100_000;
/// How long a request waits for the lease on memory to be renewed, before it is told 503.
pub const TRUST_TIMEOUT: Duration = Duration::from_secs(1);
/// How soon the log tells another cause of an outage that goes on.
pub const TOLD_AGAIN: Duration = Duration::from_mins(1);
/// Entries of the change feed of which a few statements read anew what has to be: more are applied outside of the
/// transaction that they were read in.
pub const FORGOTTEN_QUICKLY: usize = 256;
/// How long a node rests after a failure to follow the change feed.
pub const FOLLOW_PAUSE: Duration = Duration::from_millis(50);
/// How often the change feed is read where the database cannot tell of changes: a revocation takes as long on average.
pub const FOLLOW_POLL: Duration = Duration::from_millis(50);
