// A Patron in this process, for the examples: each includes this file and is given the server's address and the id and
// secret of its first PAT, which may do everything.

pub fn served<W, F>(work: W)
where
    W: FnOnce(String, String, String) -> F,
    F: Future<Output = Result<(), patron_client::Error>>,
{
    use std::sync::Arc;

    use ::patron::app::App;
    use ::patron::config::Settings;
    use ::patron::front::Front;
    use ::patron::keys::{self, MasterKey};
    use ::patron::listener::{self, Bounds};
    use ::patron::system::{SystemClock, SystemEntropy, SystemSteadyClock};
    use patron_core::audit::{Context, Party};
    use patron_core::clock::{Clock as _, Entropy};
    use patron_core::id::TrackingId;
    use patron_core::identity::Draft as IdentityDraft;
    use patron_core::pat::{Draft, Rules};
    use patron_core::rights::Catalogue;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (clock, entropy): (_, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let settings = Settings::default();
        let catalogue = Catalogue::new(&settings.levels, &settings.scopes).unwrap();
        let master = || MasterKey::from_text(&"0123456789abcdef".repeat(4)).ok().unwrap();
        let admin = IdentityDraft {
            name: "admin".to_owned(),
            levels: vec!["ORG_ADMIN".to_owned()],
            ..IdentityDraft::default()
        };
        let pat = Draft {
            name: Some("bootstrap".to_owned()),
            user_aware_token_never_expires: true,
            ..Draft::default()
        };
        let steady = Arc::new(SystemSteadyClock);
        let url = format!("sqlite:{}", folder.path().join("patron.db").display());
        let store = patron_store::Store::open(&url, clock.clone(), entropy.clone(), steady.clone()).await.unwrap();
        let operator = Context {
            actor: Party::operator(),
            acting: None,
            address: None,
            tracking: TrackingId::random(&SystemEntropy),
        };
        let bootstrap = patron_store::bootstrap::Bootstrap {
            admin: admin.check(&catalogue).unwrap(),
            password_hash: "none".to_owned(),
            pat: pat.check(Rules::Current, clock.now()).unwrap(),
            keys: keys::bootstrap(clock.now(), &master(), &SystemEntropy).ok().unwrap().to_vec(),
        };
        let made = store.bootstrap(operator, bootstrap).await.unwrap().unwrap();
        let app = App::build(Arc::new(settings), store, master(), clock, entropy, steady).await.ok().unwrap();
        let front = Front::new(Arc::new(app));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let answer = move |peer, request| {
            let front = front.clone();
            async move { front.answer(peer, request).await }
        };
        tokio::spawn(listener::serve(listener, answer, Bounds::new(Vec::new()), stopped));
        let (id, secret) = (made.pat.id.to_string(), made.secret.expose().to_owned());
        work(format!("http://{address}"), id, secret).await.unwrap();
    });
}
