//! Single stories, each as short as it can be told.

use std::sync::Mutex;
use std::time::Duration;

use patron_testing::Proxy;
use reqwest::blocking::{Client as Http, RequestBuilder};

use crate::clients::{Cast, Client};
use crate::faults::Probe;
use crate::history::Fate;
use crate::model::{Credential, Got, Model, Patch};
use crate::process::basic;
use crate::random::Random;
use crate::report::{Quantiles, is_revocation};
use crate::run::RECOVERS_WITHIN;
use crate::time::{At, pass};
use crate::wire::{Answer, Back, client, send};
use crate::world::{Node, World};

/// Nodes that serve, one worker whom a client acts for, and what is known of it all.
struct Story {
    world: World,
    model: Mutex<Model>,
    cast: Cast,
}

impl Story {
    fn begin(with_standby: bool) -> Self {
        let world = World::start(with_standby);
        let mut model = Model::default();
        let cast = Cast::enter(&world, &mut model, 1);
        world.serve();
        Self { world, model: Mutex::new(model), cast }
    }

    fn client(&self) -> Client<'_> {
        Client::new(0, (&self.world, &self.model, &self.cast), Random::new(1, 1))
    }

    /// One who asks beside it.
    fn another_client(&self) -> Client<'_> {
        Client::new(1, (&self.world, &self.model, &self.cast), Random::new(1, 2))
    }

    /// A PAT of the worker's, and an access token made from it, which every node has in memory.
    fn known_pat(&self, client: &mut Client<'_>) -> (usize, usize) {
        client.known_pat(self.cast.workers[0]).unwrap()
    }

    /// Whether the node refuses the access token, which may be before that was answered.
    fn refuses(client: &Client<'_>, node: usize, token: usize) -> bool {
        client.call(node, Credential::Token(token));
        matches!(client.last_got(), Got::Refused)
    }

    /// The administrator, who finds out when writes are taken.
    fn probe(&self) -> Probe {
        let model = self.model.lock().unwrap();
        let acting = &model.pats[model.identities[self.cast.admin].acting];
        Probe { authorization: basic(&acting.id, &acting.secret) }
    }

    /// How long the revocations took among the model's events from this one on.
    fn revocations_since(&self, first: usize) -> Vec<Duration> {
        let model = self.model.lock().unwrap();
        model.events[first..]
            .iter()
            .filter(|event| is_revocation(event))
            .map(|event| event.when.takes())
            .collect()
    }

    /// Judges all that was asked.
    #[track_caller]
    fn end(&self) {
        let mut model = self.model.lock().unwrap();
        model.judge_all_again();
        assert!(model.violations.is_empty(), "{}", model.violations.join("\n"));
    }

    /// The same, where nothing has failed.
    #[track_caller]
    fn end_in_health(&self) {
        self.model.lock().unwrap().judge_outages(|_| false);
        self.end();
    }
}

/// Asks until there is an answer.
#[track_caller]
fn until(client: &Client<'_>, ask: impl Fn()) {
    assert!(client.asks_until_answered(At::now().plus(RECOVERS_WITHIN), ask), "there is no answer");
}

fn get(url: String) -> Answer {
    answered(send(client().get(url)).1)
}

#[track_caller]
fn answered(back: Back) -> Answer {
    match back {
        Back::Answer(answer) => answer,
        Back::Cut | Back::Unsent => panic!("nothing was answered"),
    }
}

#[test]
fn a_revocation_is_answered_when_every_node_refuses() {
    let story = Story::begin(false);
    let mut client = story.client();
    for round in 0..50 {
        let (pat, token) = story.known_pat(&mut client);
        // Each asks every node as soon as it is answered.
        if round % 2 == 0 {
            assert!(matches!(client.delete(round % 3, pat), Fate::Answered(_)));
        } else {
            assert!(matches!(client.revoke(round % 3, token), Fate::Answered(_)));
            client.exchange(0, pat);
        }
    }
    let times = Quantiles::of(story.revocations_since(0));
    println!("{} revocations: {:.1?} median, {:.1?} p99", times.count, times.median, times.p99);
    story.end_in_health();
}

#[test]
fn a_disabled_identity_is_refused_everywhere_and_its_access_tokens_stay_so() {
    let story = Story::begin(false);
    let client = story.client();
    let victim = story.cast.victims[0];
    let acting = story.model.lock().unwrap().identities[victim].acting;
    let token = client.exchange(1, acting).unwrap();
    for node in 0..3 {
        client.call(node, Credential::Token(token));
    }
    assert!(matches!(client.enable(victim, false), Fate::Answered(_)));
    assert!(matches!(client.enable(victim, true), Fate::Answered(_)));
    story.end_in_health();
}

#[test]
fn a_frozen_node_holds_revocations_up_for_a_lease_and_refuses_when_it_wakes() {
    let story = Story::begin(false);
    let mut client = story.client();
    let (kept, _) = story.known_pat(&mut client);
    let revoked: Vec<_> = (0..4).map(|_| story.known_pat(&mut client)).collect();
    let before = story.model.lock().unwrap().events.len();
    // It is frozen until all of them have been answered: none may wait for it to wake.
    let fates = client.revoke_beside_a_frozen_node(2, &revoked);
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Answered(_))), "{fates:?}");
    let times = Quantiles::of(story.revocations_since(before));
    println!("{} with one node frozen: {:.0?} median, {:.0?} at most", times.count, times.median, times.max);
    // Its row was struck and is there again: it serves once more, and nobody waits for it any longer than for others.
    until(&client, || client.call(2, Credential::Pat(kept)));
    assert!(matches!(client.delete(1, kept), Fate::Answered(_)));
    story.end();
}

#[test]
fn a_node_cut_off_from_the_database_says_503_and_never_yes() {
    let story = Story::begin(false);
    let mut client = story.client();
    let (pat, token) = story.known_pat(&mut client);
    let (deleted, deleted_token) = story.known_pat(&mut client);
    let node = &story.world.nodes[2];
    node.ways().iter().for_each(Proxy::stall);
    // Its answer takes until no lease is left; then the node that knows nothing of it is asked.
    assert!(matches!(client.delete(0, deleted), Fate::Answered(_)));
    let http = Http::new();
    let acting = {
        let model = story.model.lock().unwrap();
        basic(&model.pats[pat].id, &model.pats[pat].secret)
    };
    let answer = answered(send(http.get(node.url("/tenant/v1")).header("authorization", acting)).1);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.header("retry-after").is_some());
    for credential in [deleted_token, token].map(Credential::Token) {
        client.call(2, credential);
    }
    for (url, status) in [
        (node.url("/oauth/jwks"), 200),
        (node.management_url("/health/live"), 200),
        (node.management_url("/health/ready"), 503),
    ] {
        assert_eq!(get(url.clone()).status, status, "{url}");
    }
    node.ways().iter().for_each(Proxy::pass);
    // By itself: nobody starts it anew.
    while get(node.management_url("/health/ready")).status != 200 {}
    let before = story.model.lock().unwrap().events.len();
    for pat in [pat, deleted] {
        client.exchange(2, pat);
    }
    let model = story.model.lock().unwrap();
    let got: Vec<usize> = model.events[before..].iter().map(|event| event.got.column()).collect();
    drop(model);
    assert_eq!(got, [0, 1], "accepted, refused");
    story.end();
}

#[test]
fn a_promoted_standby_lacks_nothing_that_was_answered() {
    let story = Story::begin(true);
    let mut client = story.client();
    let worker = story.cast.workers[0];
    let mut kept = Vec::new();
    for round in 0..10 {
        let (pat, token) = story.known_pat(&mut client);
        match round % 3 {
            0 => drop(client.delete(round % 3, pat)),
            1 => drop(client.revoke(round % 3, token)),
            _ => kept.push((pat, token)),
        }
    }
    let last = client.create(0, worker).unwrap();
    let taken = story.world.database.lock().unwrap().fail_over();
    let times = Quantiles::of(story.probe().until_all_write(&story.world, taken));
    println!("writes after a promotion, each node: {:.0?} median, {:.0?} at most", times.median, times.max);
    for node in 0..3 {
        client.list(node, worker);
        client.exchange(node, last);
    }
    let (pats, tokens) = {
        let model = story.model.lock().unwrap();
        (model.pats.len(), model.tokens.len())
    };
    for pat in 0..pats {
        client.exchange(pat % 3, pat);
    }
    for token in 0..tokens {
        client.call(token % 3, Credential::Token(token));
    }
    story.end();
}

/// Found by the random run: a node that knew of a deletion answered a revocation at once, for there was nothing left to
/// do, while another node did not know of either.
#[test]
fn a_revocation_that_finds_its_work_done_waits_for_it_as_well() {
    let story = Story::begin(false);
    let mut client = story.client();
    for by_deletion in [true, false] {
        let (pat, token) = story.known_pat(&mut client);
        let ways = story.world.nodes[2].ways();
        for way in ways {
            way.stall();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut first = story.another_client();
                if by_deletion { first.delete(0, pat) } else { first.revoke(0, token) }
            });
            while !Story::refuses(&client, 1, token) {}
            client.revoke_as_well(1, token);
            client.call(2, Credential::Token(token));
        });
        for way in ways {
            way.pass();
        }
    }
    story.end();
}

/// Deletes a PAT, and once more at a node that knows of it, and says what follows on "there is none" at once.
fn delete_twice(story: &Story, client: &Client<'_>, (pat, token): (usize, usize), then: impl FnOnce()) {
    std::thread::scope(|scope| {
        let first = scope.spawn(|| story.another_client().delete_only(0, pat));
        while !Story::refuses(client, 1, token) {}
        until(client, || client.delete_as_well(1, pat));
        assert!(matches!(client.last_got(), Got::Missing));
        then();
        assert!(matches!(first.join().unwrap(), Fate::Answered(_)));
    });
}

#[test]
fn a_deletion_that_finds_nothing_waits_for_who_deleted_it() {
    let story = Story::begin(false);
    let mut client = story.client();
    let node = &story.world.nodes[2];
    // It cannot be told of anything, and goes on from memory.
    let known = story.known_pat(&mut client);
    node.ways().iter().for_each(Proxy::stall);
    let ask = || {
        client.call(2, Credential::Pat(known.0));
        client.call(2, Credential::Token(known.1));
    };
    delete_twice(&story, &client, known, ask);
    node.ways().iter().for_each(Proxy::pass);
    until(&client, ask);
    // It is stopped, and finds requests as it wakes.
    let known = story.known_pat(&mut client);
    node.freeze();
    let ask = || {
        client.call(2, Credential::Pat(known.0));
        client.call(2, Credential::Token(known.1));
    };
    delete_twice(&story, &client, known, || {
        std::thread::scope(|scope| {
            scope.spawn(ask);
            node.thaw();
        });
    });
    until(&client, ask);
    story.end();
}

#[test]
fn a_primary_left_behind_is_believed_by_nobody() {
    // Rounds of requests: there are as many at least.
    const CUTS: usize = 20;
    const DELETES: usize = 40;
    let story = Story::begin(true);
    let mut client = story.client();
    let worker = story.cast.workers[0];
    let known: Vec<_> = (0..4).map(|_| story.known_pat(&mut client)).collect();
    let taken = story.world.database.lock().unwrap().leave_behind();
    let times = Quantiles::of(story.probe().until_all_write(&story.world, taken));
    println!("writes beside a primary that stands still: {:.0?} at most", times.max);
    // Answered by the new one; the old one goes on with what it had, and takes connections as before.
    client.delete(0, known[0].0);
    client.revoke(1, known[1].1);
    client.patch(2, known[2].0, Patch::Name("renamed".to_owned()));
    story.world.database.lock().unwrap().standby().unwrap().resume();
    let end = At::now().plus(Duration::from_secs(8));
    for round in (0..).take_while(|&round| round <= DELETES || At::now() < end) {
        let node = round % 3;
        client.list(node, worker);
        for &(pat, token) in &known {
            client.exchange(node, pat);
            client.call(node, Credential::Token(token));
        }
        match round {
            // As in a failover: connections end, and are made anew to whichever server there is.
            CUTS => story.world.nodes.iter().flat_map(Node::ways).for_each(Proxy::cut),
            DELETES => drop(client.delete(node, known[3].0)),
            _ => {}
        }
    }
    story.end();
}

/// A node goes by it for as long as the lease that it has from it lasts.
#[test]
fn what_a_primary_left_behind_lacks_is_not_said_to_be_missing() {
    let story = Story::begin(true);
    let authorization = story.probe().authorization;
    let (behind, ahead) = (&story.world.nodes[0], &story.world.nodes[1]);
    let asked = |request: RequestBuilder| answered(send(request.header("authorization", &authorization)).1);
    let until_done = |ask: &dyn Fn(u32) -> RequestBuilder| {
        let end = At::now().plus(RECOVERS_WITHIN);
        for refused in 0.. {
            let answer = asked(ask(refused));
            if matches!(answer.status, 200 | 204) {
                return (answer, refused);
            }
            assert!(answer.status == 503 && At::now() < end, "{} {}", answer.status, answer.body);
            pass(Duration::from_millis(10));
        }
        unreachable!("it is tried for as long as it takes")
    };
    let url = |node: &Node| node.url("/personal-access-tokens/v1");
    assert_eq!(asked(client().get(url(behind))).status, 200);
    // To the new one without delay.
    ahead.ways()[0].refuse();
    story.world.database.lock().unwrap().promote_beside();
    // Each under a name of its own: one that was answered with 503 may have been made.
    let body = |refused| {
        format!(r#"{{"name": "made on the new one {refused}", "userAwareTokenNeverExpires": true}}"#)
    };
    let create =
        |refused| client().post(url(ahead)).header("content-type", "application/json").body(body(refused));
    let (made, _) = until_done(&create);
    let one = format!("{}/{}", url(behind), made.json()["id"].as_str().unwrap());
    let began = At::now();
    let (_, refused) = until_done(&|_| client().delete(&one));
    println!(
        "deleted where it could not be seen, after {:.1?} and 503 {refused} times",
        At::now().since(began)
    );
}

#[test]
fn two_nodes_that_start_together_bootstrap_once() {
    let world = World::prepare(2, false);
    world.serve();
    let made: Vec<_> = world.nodes.iter().filter_map(Node::bootstrap).collect();
    assert_eq!(made.len(), 1, "both made an administrator, or neither did");
    let text = |field: &str| made[0][field].as_str().unwrap();
    let first = basic(text("clientId"), text("clientSecret"));
    for node in &world.nodes {
        let request = client().get(node.url("/personal-access-tokens/v1")).header("authorization", &first);
        let answer = answered(send(request).1);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json().as_array().map(Vec::len), Some(1), "{}", answer.body);
    }
    let tenants = "SELECT COUNT(*) FROM tenants";
    assert_eq!(world.database.lock().unwrap().psql(tenants), "1\n");
    let identities = "SELECT COUNT(*) FROM identities";
    assert_eq!(world.database.lock().unwrap().psql(identities), "1\n");
}
