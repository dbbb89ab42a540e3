//! A way to a server that can be broken on purpose.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc as orders, watch};
use tokio::task::JoinSet;

use crate::port::Port;

/// Takes connections on a free port of 127.0.0.1 and carries them to a server. Ends when it is dropped, and cuts what
/// it carries.
///
/// What is asked of it is in force when the call returns.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// `None` tells the thread to end.
    orders: Option<orders::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// How bytes go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    Open,
    Closed,
    /// Each piece is held back for so long.
    Slow(Duration),
}

#[derive(Debug, Clone, Copy)]
struct Way {
    target: SocketAddr,
    passage: Passage,
}

#[derive(Debug)]
struct Order {
    change: Change,
    done: mpsc::Sender<()>,
}

#[derive(Debug)]
enum Change {
    Target(SocketAddr),
    Listen(Passage),
    Refuse,
    Cut,
}

impl Proxy {
    /// Begins to carry connections to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let port = Port::reserve();
        let address = port.address();
        let (orders, received) = orders::unbounded_channel();
        let carrier = Carrier {
            port,
            way: watch::Sender::new(Way { target, passage: Passage::Open }),
            listener: None,
            carried: JoinSet::new(),
        };
        // A thread of its own: a test may block its runtime, and the proxy may be dropped within one.
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(carrier.run(received));
        });
        let proxy = Self { address, orders: Some(orders), thread: Some(thread) };
        proxy.pass();
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries new connections to another server; those that are there stay where they are.
    pub fn target(&self, target: SocketAddr) {
        self.order(Change::Target(target));
    }

    /// Carries everything, at once.
    pub fn pass(&self) {
        self.order(Change::Listen(Passage::Open));
    }

    /// Cuts all connections, and has new ones refused as if nobody listened.
    pub fn refuse(&self) {
        self.order(Change::Refuse);
    }

    /// Cuts the connections that are there.
    pub fn cut(&self) {
        self.order(Change::Cut);
    }

    /// Carries nothing: connections stay, and are taken, and no byte and no end comes through.
    pub fn stall(&self) {
        self.order(Change::Listen(Passage::Closed));
    }

    /// Holds each piece back for so long, in both directions.
    pub fn delay(&self, by: Duration) {
        self.order(Change::Listen(Passage::Slow(by)));
    }

    fn order(&self, change: Change) {
        let (done, when) = mpsc::channel();
        self.orders.as_ref().unwrap().send(Order { change, done }).unwrap();
        when.recv().unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked about, whoever gave the order has seen.
            let _ = thread.join();
        }
    }
}

struct Carrier {
    /// Kept also while nobody may connect.
    port: Port,
    way: watch::Sender<Way>,
    listener: Option<TcpListener>,
    /// Cut when dropped.
    carried: JoinSet<io::Result<()>>,
}

impl Carrier {
    /// Until the proxy is dropped.
    async fn run(mut self, mut orders: orders::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order { change, done }) => {
                        self.obey(change).await;
                        // Nobody waits when the proxy's owner is gone.
                        let _ = done.send(());
                    }
                    None => return,
                },
                Some(_ended) = self.carried.join_next() => {}
                stream = accept(self.listener.as_ref()) => {
                    self.carried.spawn(carry(stream, self.way.subscribe()));
                }
            }
        }
    }

    async fn obey(&mut self, change: Change) {
        match change {
            Change::Target(target) => {
                self.way.send_modify(|way| way.target = target);
            }
            Change::Listen(passage) => {
                self.way.send_modify(|way| way.passage = passage);
                if self.listener.is_none() {
                    self.listener = Some(TcpListener::bind(self.port.address()).await.unwrap());
                }
            }
            Change::Refuse => {
                self.listener = None;
                self.carried.shutdown().await;
            }
            Change::Cut => self.carried.shutdown().await,
        }
    }
}

/// The next connection; none comes while nobody listens.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

/// Carries a connection until both directions have ended, or one has broken.
async fn carry(near: TcpStream, mut way: watch::Receiver<Way>) -> io::Result<()> {
    passage(&mut way).await;
    let target = way.borrow().target;
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::try_join!(copy(near_in, far_out, way.clone()), copy(far_in, near_out, way))?;
    Ok(())
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1_024];
    loop {
        let length = from.read(&mut piece).await;
        passage(&mut way).await;
        match length? {
            0 => return to.shutdown().await,
            length => to.write_all(&piece[..length]).await?,
        }
    }
}

/// Waits for as long as what has come may not go on.
async fn passage(way: &mut watch::Receiver<Way>) {
    let passage = way.wait_for(|way| way.passage != Passage::Closed).await.map(|way| way.passage);
    if let Ok(Passage::Slow(by)) = passage {
        tokio::time::sleep(by).await;
    }
}
