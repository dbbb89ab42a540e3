//! The proxy as its connections see it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use patron_testing::Proxy;

/// Answers each connection with its name, then with what comes, and tells what had come when it ended.
fn echo(name: &'static str) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (came, all) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, came) = (stream.unwrap(), came.clone());
            thread::spawn(move || {
                stream.write_all(name.as_bytes()).unwrap();
                let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
                while let Ok(length @ 1..) = stream.read(&mut piece) {
                    all.extend_from_slice(&piece[..length]);
                    if stream.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
                came.send(all).unwrap();
            });
        }
    });
    (address, all)
}

fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut text = vec![0; length];
    stream.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn greeted(proxy: &Proxy, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    assert_eq!(read(&mut stream, name.len()), name);
    stream
}

/// Whether it has ended, in order or not, with nothing more having come.
fn is_cut(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0]), Ok(1..))
}

#[test]
fn all_bytes_and_the_end_go_through_in_both_directions() {
    let (server, came) = echo("one");
    let proxy = Proxy::to(server);
    let mut stream = greeted(&proxy, "one");
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let mut writer = stream.try_clone().unwrap();
    let half = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&half).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).unwrap();
    writing.join().unwrap();
    assert!(answered == sent && came.recv().unwrap() == sent);
}

#[test]
fn another_target_is_for_new_connections() {
    let ((one, _one), (two, _two)) = (echo("one"), echo("two"));
    let proxy = Proxy::to(one);
    let mut stream = greeted(&proxy, "one");
    proxy.target(two);
    greeted(&proxy, "two");
    stream.write_all(b"still").unwrap();
    assert_eq!(read(&mut stream, 5), "still");
}

#[test]
fn refusing_cuts_what_is_there_and_nobody_listens_until_it_passes_again() {
    let (server, _came) = echo("one");
    let proxy = Proxy::to(server);
    let mut stream = greeted(&proxy, "one");
    proxy.refuse();
    assert!(is_cut(&mut stream));
    for _ in 0..3 {
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    proxy.pass();
    greeted(&proxy, "one");
}

#[test]
fn cutting_leaves_the_way_open() {
    let (server, _came) = echo("one");
    let proxy = Proxy::to(server);
    let mut stream = greeted(&proxy, "one");
    proxy.cut();
    assert!(is_cut(&mut stream));
    greeted(&proxy, "one");
}

/// Sends while the proxy is `broken`, gives it every occasion to carry that, and cuts: what the server got.
fn carried_while(broken: impl FnOnce(&Proxy)) -> Vec<u8> {
    let (server, came) = echo("one");
    let proxy = Proxy::to(server);
    let mut stream = greeted(&proxy, "one");
    broken(&proxy);
    stream.write_all(b"held back").unwrap();
    for _ in 0..1_000 {
        proxy.target(server);
    }
    proxy.cut();
    came.recv().unwrap()
}

#[test]
fn nothing_goes_through_while_stalled_or_before_the_delay_is_over() {
    assert_eq!(carried_while(Proxy::stall), b"");
    assert_eq!(carried_while(|proxy| proxy.delay(Duration::from_hours(1))), b"");
}

#[test]
fn what_a_stall_held_back_arrives_when_it_is_over() {
    let (server, _came) = echo("one");
    let proxy = Proxy::to(server);
    let mut stream = greeted(&proxy, "one");
    proxy.stall();
    stream.write_all(b"patience").unwrap();
    // Taken, though nobody answers.
    let mut new = TcpStream::connect(proxy.address()).unwrap();
    proxy.pass();
    assert_eq!((read(&mut stream, 8), read(&mut new, 3)), ("patience".to_owned(), "one".to_owned()));
    proxy.delay(Duration::from_millis(1));
    stream.write_all(b"slowly").unwrap();
    assert_eq!(read(&mut stream, 6), "slowly");
}

#[test]
fn a_proxy_that_is_dropped_cuts_and_refuses() {
    let (server, _came) = echo("one");
    let proxy = Proxy::to(server);
    let (mut stream, address) = (greeted(&proxy, "one"), proxy.address());
    proxy.stall();
    drop(proxy);
    assert!(is_cut(&mut stream));
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
