//! Durable commits without a service: the two rows that a creation writes, the token and its record in the audit trail,
//! into the same tables with the same indexes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use crate::pats::mixed;
use crate::{Failure, Result, now};

/// How many wait for their commits at once.
pub(crate) const PRODUCERS: u64 = 64;

/// The owner of what is written, who has to be there.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) tenant: i64,
    pub(crate) id: [u8; 16],
}

/// How many commits were answered in how long.
pub(crate) struct Committed {
    pub(crate) count: u64,
    pub(crate) took: Duration,
}

/// What a creation writes.
struct Rows {
    id: [u8; 16],
    event: [u8; 16],
    tracking: [u8; 16],
    hash: [u8; 32],
    name: String,
    id_text: String,
}

impl Rows {
    fn of(number: u64) -> Self {
        let random = |part: u64| {
            let high = u128::from(mixed(number.wrapping_mul(8) + part));
            (high << 64 | u128::from(mixed(number.wrapping_mul(8) + part + 1))).to_be_bytes()
        };
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(&random(0));
        hash[16..].copy_from_slice(&random(1));
        let id = random(2);
        Self {
            id,
            event: random(3),
            tracking: random(4),
            hash,
            name: format!("raw {number}"),
            id_text: hex::encode(id),
        }
    }
}

const CREATED: i64 = 1_790_000_000_000;
const ATTRIBUTES: &str = r#"{"ownerId":"00000000000000000000000000000000","scope":["sp:scopes:all"],"expirationDate":null,"managed":false}"#;
const PAT: &str = "INSERT INTO pats (id, tenant, owner, name, scope, secret_hash, created, last_used, managed, validity, \
                   expires, user_aware, expiry_recorded) \
                   VALUES ($1, $2, $3, $4, '[\"sp:scopes:all\"]', $5, $6, NULL, 0, 43200, NULL, 1, 0)";
const EVENT: &str = "INSERT INTO audit_events (id, created, tenant, technical_name, actor_kind, actor_id, actor_name, \
                     target_kind, target_id, target_name, ip_address, tracking_number, operation, status, attributes) \
                     VALUES ($1, $2, $3, 'PERSONAL_ACCESS_TOKEN_CREATE_PASSED', 'IDENTITY', $4, 'somebody', \
                     'PERSONAL_ACCESS_TOKEN', $5, $6, '127.0.0.1', $7, 'CREATE', 'PASSED', $8)";

/// One writer, which commits together what waits: `WAL`, with an `fsync` for each group.
pub(crate) fn sqlite(file: &Path, owner: Owner, lasts: Duration) -> Result<Committed> {
    let connection = Connection::open(file)?;
    connection
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    let (jobs, waiting) = sync_channel::<Job>(1_024);
    let writer = thread::spawn(move || write(&connection, owner, &waiting));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let committed = runtime.block_on(produce(jobs, lasts));
    writer.join().map_err(|_| Failure("the writer panicked".to_owned()))??;
    Ok(committed)
}

type Job = (Rows, oneshot::Sender<()>);

async fn produce(jobs: SyncSender<Job>, lasts: Duration) -> Committed {
    let count = Arc::new(AtomicU64::new(0));
    let began = now();
    let producers = (0..PRODUCERS).map(|producer| {
        let (jobs, count) = (jobs.clone(), Arc::clone(&count));
        async move {
            for turn in 0.. {
                let (told, done) = oneshot::channel();
                let number = began.0.wrapping_add(turn * PRODUCERS + producer);
                // The writer ends when all producers have.
                if jobs.send((Rows::of(number), told)).is_err() || done.await.is_err() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                if began.1.elapsed() >= lasts {
                    return;
                }
            }
        }
    });
    futures_util::future::join_all(producers).await;
    Committed { count: count.load(Ordering::Relaxed), took: began.1.elapsed() }
}

fn write(connection: &Connection, owner: Owner, waiting: &Receiver<Job>) -> rusqlite::Result<()> {
    let (mut pat, mut event) = (connection.prepare(PAT)?, connection.prepare(EVENT)?);
    let mut group = Vec::new();
    while let Ok(first) = waiting.recv() {
        group.push(first);
        group.extend(waiting.try_iter());
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (rows, _) in &group {
            pat.execute(params![rows.id, owner.tenant, owner.id, rows.name, rows.hash, CREATED])?;
            let actor = hex::encode(owner.id);
            event.execute(params![
                rows.event,
                CREATED,
                owner.tenant,
                actor,
                rows.id_text,
                rows.name,
                rows.tracking,
                ATTRIBUTES
            ])?;
        }
        connection.execute_batch("COMMIT")?;
        for (_, told) in group.drain(..) {
            // Whoever has gone meanwhile wanted no answer.
            let _ = told.send(());
        }
    }
    Ok(())
}

/// As many connections as producers, each with one statement a commit: the server groups them by itself.
/// Each writes for an owner of its own, where there are as many.
pub(crate) async fn postgres(url: &str, owners: &[Owner], lasts: Duration) -> Result<Committed> {
    let both = both_in_one();
    let mut clients = Vec::new();
    for _ in 0..PRODUCERS {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let statement = client.prepare(&both).await?;
        clients.push((client, statement));
    }
    let began = now();
    let producers = (0_u64..).zip(clients).zip(owners.iter().cycle());
    let producers = producers.map(|((producer, (client, statement)), owner)| async move {
        let mut count = 0;
        while began.1.elapsed() < lasts {
            let rows = Rows::of(began.0.wrapping_add(count * PRODUCERS + producer));
            let actor = hex::encode(owner.id);
            let (id, owner_id, hash) = (&rows.id[..], &owner.id[..], &rows.hash[..]);
            let (event, tracking) = (&rows.event[..], &rows.tracking[..]);
            client
                .execute(
                    &statement,
                    &[
                        &id,
                        &owner.tenant,
                        &owner_id,
                        &rows.name,
                        &hash,
                        &CREATED,
                        &event,
                        &actor,
                        &rows.id_text,
                        &tracking,
                        &ATTRIBUTES,
                    ],
                )
                .await?;
            count += 1;
        }
        Ok::<_, tokio_postgres::Error>(count)
    });
    let counts = futures_util::future::try_join_all(producers).await?;
    Ok(Committed { count: counts.iter().sum(), took: began.1.elapsed() })
}

/// Both statements as one, whose event takes `$7` and on, and what they share.
fn both_in_one() -> String {
    let event = EVENT
        .replace("$8", "$11")
        .replace("$7", "$10")
        .replace("$6", "$4")
        .replace("$5", "$9")
        .replace("$4, 'som", "$8, 'som")
        .replace("VALUES ($1, $2, $3", "VALUES ($7, $6, $2");
    format!("WITH pat AS ({PAT}) {event}")
}
