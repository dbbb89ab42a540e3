//! Administration → All tokens: many at once, while other things happen.

use std::time::Duration;

use patron_testing::Engine;

use crate::support::Patron;
use crate::visit::{Visit, names};
use crate::web_admin_tokens::{Scene, TOKENS, borrowed, fields, previewed};

/// Makes tokens of one owner, `many 000` and so on, and previews what is to be done to them.
async fn preview_many<'a>(
    scene: &'a Scene,
    count: usize,
    act: &[(&str, &str)],
) -> (Visit<'a>, Vec<(String, String)>) {
    for n in 0..count {
        scene.patron.pat(&scene.jane, &format!("many {n:03}"), &[]).await;
    }
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let chosen = [&[("which", "all"), ("q", "many")], act].concat();
    let (_, form) = previewed(&mut visit, &chosen).await;
    (visit, form)
}

/// How many tokens have been deleted.
async fn deleted(patron: &Patron) -> i64 {
    let database = patron.database();
    let ask = move || database.row("SELECT COUNT(*) FROM deleted_pats", &[]).int(0).unwrap();
    match Engine::of_this_run() {
        // Patron writes on a thread of its own, and goes no further than that while it is asked.
        Engine::Sqlite => ask(),
        // Patron writes on the test's own thread, which is not to be held up.
        Engine::Postgres => tokio::task::spawn_blocking(ask).await.unwrap(),
    }
}

/// Waits for a deletion to have come so far.
async fn until_deleted(patron: &Patron, count: i64) {
    let far_enough = async {
        while deleted(patron).await < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), far_enough).await.expect("it goes on");
}

#[tokio::test]
async fn one_that_is_deleted_after_the_preview_is_shown_to_be_gone_before_anything_is_done() {
    let scene = Scene::new().await;
    let (one, two, gone) = (
        scene.patron.pat(&scene.jane, "one", &[]).await,
        scene.patron.pat(&scene.jane, "two", &[]).await,
        scene.patron.pat(&scene.jane, "gone", &[]).await,
    );
    let bulk = format!("{TOKENS}/bulk");
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let ticked = [("id", one.id.as_str()), ("id", &two.id), ("id", &gone.id)];
    let expire = [("which", "ticked"), ("act", "expire"), ("until", "60")];
    let (page, form) = previewed(&mut visit, &[&ticked[..], &expire].concat()).await;
    assert_eq!(names(&page), ["gone", "one", "two"]);
    scene.patron.delete_pat(&gone).await;
    let page = visit.post(&bulk, &borrowed(&form)).await.expect(409).text();
    assert_eq!(names(&page), ["one", "two"]);
    assert_eq!(scene.expires(&one.id).await, serde_json::Value::Null, "nothing has happened");
    let form = fields(&page, &bulk);
    visit.post(&bulk, &borrowed(&form)).await.leads_to();
    assert!(visit.get(TOKENS).await.text().contains("2 tokens have their new expiry."));
    assert_eq!(scene.expires(&two.id).await, "2027-08-08T23:59:59.000Z");
}

#[tokio::test]
async fn those_that_are_deleted_while_it_is_done_are_passed_over() {
    let scene = Scene::new().await;
    let (mut visit, form) = preview_many(&scene, 80, &[("act", "expire"), ("until", "60")]).await;
    // Both a token of the part that is being done then, the one it comes to last, and one of the next.
    let last = "SELECT name FROM pats WHERE name BETWEEN 'many 000' AND 'many 049' ORDER BY id DESC LIMIT 1";
    let last = scene.patron.database().row(last, &[]).text(0).unwrap().to_owned();
    let meanwhile = format!("DELETE FROM pats WHERE name IN ('{last}', 'many 070')");
    scene.patron.database().add_to_updates("pats", &meanwhile);
    let leads = visit.post(&format!("{TOKENS}/bulk"), &borrowed(&form)).await.leads_to();
    let page = visit.get(&leads).await.expect(200).text();
    assert!(page.contains("78 tokens have their new expiry."), "{page}");
    assert_eq!(scene.patron.events("PERSONAL_ACCESS_TOKEN_UPDATED").await.len(), 78);
}

#[tokio::test]
async fn what_was_begun_goes_on_when_the_browser_hangs_up() {
    let scene = Scene::new().await;
    let (mut visit, form) = preview_many(&scene, 210, &[("act", "delete")]).await;
    let (bulk, form) = (format!("{TOKENS}/bulk"), borrowed(&form));
    tokio::select! {
        biased;
        reply = visit.post(&bulk, &form) => panic!("it was done at once: {}", reply.status),
        () = until_deleted(&scene.patron, 1) => {}
    }
    until_deleted(&scene.patron, 210).await;
    assert_eq!(scene.left().await.len(), 7);
    assert_eq!(scene.patron.events("PERSONAL_ACCESS_TOKEN_DELETED").await.len(), 210);
}

#[tokio::test]
async fn more_ids_than_one_statement_takes_can_be_ticked() {
    let scene = Scene::new().await;
    let mut ids = Vec::new();
    for n in 0..120 {
        ids.push(scene.patron.pat(&scene.jane, &format!("many {n:03}"), &[]).await.id);
    }
    let nobody = "0".repeat(32);
    let ticked = ids.iter().chain([&nobody]).map(|id| ("id", id.as_str()));
    let chosen: Vec<_> = ticked.chain([("which", "ticked"), ("act", "delete")]).collect();
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let (page, _) = previewed(&mut visit, &chosen).await;
    let expected: Vec<_> = (0..120).map(|n| format!("many {n:03}")).collect();
    assert_eq!(names(&page), expected);
}

#[tokio::test]
async fn a_day_that_ends_at_another_moment_is_shown_again() {
    let scene = Scene::new().await;
    let one = scene.patron.pat(&scene.jane, "one", &[]).await;
    let bulk = format!("{TOKENS}/bulk");
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let chosen = [
        ("id", one.id.as_str()),
        ("which", "ticked"),
        ("act", "expire"),
        ("until", "date"),
        ("date", "2099-06-01"),
    ];
    let (_, form) = previewed(&mut visit, &chosen).await;
    visit.cookies.insert("patron_zone".to_owned(), "Pacific/Niue".to_owned());
    let page = visit.post(&bulk, &borrowed(&form)).await.expect(409).text();
    assert_eq!(scene.expires(&one.id).await, serde_json::Value::Null, "not another moment than was shown");
    let form = fields(&page, &bulk);
    visit.post(&bulk, &borrowed(&form)).await.leads_to();
    assert_eq!(scene.expires(&one.id).await, "2099-06-02T10:59:59.000Z");
}
