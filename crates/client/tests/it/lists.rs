//! Lists, as they arrive.

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use patron_client::{AccessToken, Client, Error, List, Timestamp};

use crate::double::Double;

async fn served() -> (Double, Client) {
    let double = Double::start().await;
    let token = AccessToken::new("kept", "", Timestamp::MIN, Timestamp::MAX);
    let client = double.builder().access_token(token).build().unwrap();
    (double, client)
}

fn pat(name: usize) -> String {
    format!(
        r#"{{"id":"{name}","name":"ä]}}\",[{{ {name}","scope":["a","b"],"owner":{{"type":"IDENTITY","id":"2","name":"o"}},
        "created":"2017-07-11T18:45:37.098Z","lastUsed":null,"more":[{{}}]}}"#
    )
}

/// A body in pieces.
fn pieces(text: &str, size: usize) -> Body {
    let pieces: Vec<_> =
        text.as_bytes().chunks(size).map(Bytes::copy_from_slice).map(Ok::<_, std::io::Error>).collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn every_list_asks_for_what_was_chosen() {
    let (double, client) = served().await;
    for _ in 0..4 {
        double.then(200, &[], " [ ] ");
    }
    let filter = "lastUsed le 2023-02-05T10:59:27.214Z";
    for list in [List::mine(), List::everyones(), List::of("2c91"), List::mine().filters(filter)] {
        let all: Vec<_> = client.list(&list).try_collect().await.unwrap();
        assert!(all.is_empty());
    }
    assert_eq!(
        double.lines(),
        [
            "GET /personal-access-tokens/v1?owner-id=me",
            "GET /personal-access-tokens/v1",
            "GET /personal-access-tokens/v1?owner-id=2c91",
            "GET /personal-access-tokens/v1?owner-id=me&filters=lastUsed+le+2023-02-05T10%3A59%3A27.214Z",
        ]
    );
}

#[tokio::test]
async fn nobodys_list_is_not_everyones() {
    let (double, client) = served().await;
    let all: Vec<_> = client.list(&List::of("")).collect().await;
    assert!(matches!(all[..], [Err(Error::Usage(_))]), "{all:?}");
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn rows_come_as_they_arrive() {
    let (double, client) = served().await;
    let (more, mut rest) = tokio::sync::mpsc::unbounded_channel::<String>();
    let body = stream::poll_fn(move |context| rest.poll_recv(context)).map(Ok::<_, std::io::Error>);
    double.then(200, &[], Body::from_stream(body));
    more.send(format!("[{},", pat(1))).unwrap();
    let mut rows = client.list(&List::mine());
    // The server has not ended its list; this would wait for ever if the whole were read first.
    assert_eq!(rows.try_next().await.unwrap().unwrap().id, "1");
    more.send(format!("{}]", pat(2))).unwrap();
    assert_eq!(rows.try_next().await.unwrap().unwrap().id, "2");
    drop(more);
    assert!(rows.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn half_a_list_is_no_list() {
    let (double, client) = served().await;
    let whole = format!("[{},{}]", pat(1), pat(2));
    for size in [1, 7, 4096] {
        double.then(200, &[], pieces(&whole, size));
        let names: Vec<_> = client.list(&List::mine()).map_ok(|pat| pat.name).try_collect().await.unwrap();
        assert_eq!(names, ["ä]}\",[{ 1", "ä]}\",[{ 2"]);
    }
    // Broken off between two rows, and cut by the network.
    let half = format!("[{},", pat(1));
    double.then(200, &[], pieces(&half, 64));
    let cut = stream::iter([Ok(half.clone()), Err(std::io::Error::other("cut"))]);
    double.then(200, &[], Body::from_stream(cut));
    // Something else, and a row of another kind: nothing comes behind it.
    double.then(200, &[], "{}");
    double.then(200, &[], format!("[{},7,{}]", pat(1), pat(2)));
    // What the cut list's server had not sent yet is lost with it.
    for rows in [1..=1, 0..=1, 0..=0, 1..=1] {
        let all: Vec<Result<_, Error>> = client.list(&List::mine()).collect().await;
        let good = all.iter().filter(|row| row.is_ok()).count();
        assert!(rows.contains(&good) && all.len() == good + 1, "{all:?}");
        assert!(all.last().unwrap().is_err(), "{all:?}");
    }
    double.asked();
}
