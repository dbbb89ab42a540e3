//! What is answered while the database does not do its part: 503 with `Retry-After`, and never what would be said of a
//! wrong secret or of something that is not there. And that nobody has to do anything for it to come back.

mod world;

mod postgres {
    use std::thread;
    use std::time::Duration;

    use patron_testing::{Cluster, Session, Settings, psql_at};
    use tempfile::TempDir;

    use super::world::{Answered, Asked, World};
    use crate::process::{Call, Server, patron};

    #[test]
    fn gone() {
        World::new().outage(|world| world.way.refuse(), |world, ()| world.way.pass());
    }

    #[test]
    fn stalled() {
        World::new().outage(|world| world.way.stall(), |world, ()| world.way.pass());
    }

    #[test]
    fn stopped_and_started_again() {
        World::new().outage(|world| world.cluster.pause(), |world, ()| world.cluster.resume());
    }

    #[test]
    fn a_standby_in_the_place_of_the_primary() {
        let world = World::new();
        let standby = world.cluster.standby();
        world.outage(
            |world| {
                world.way.target(standby.address());
                world.way.cut();
            },
            |world, ()| {
                world.way.target(world.cluster.address());
                world.way.cut();
            },
        );
    }

    #[test]
    fn failed_over() {
        let mut world = World::new();
        let standby = world.cluster.standby();
        world.cluster.synchronous(Some(&standby));
        world.outage(
            |world| {
                world.cluster.kill();
                world.way.target(standby.address());
            },
            |_, ()| standby.promote(),
        );
    }

    /// Each answer of the server's comes, but later than any of it is waited for.
    #[test]
    fn slow() {
        World::new().outage(|world| world.way.delay(Duration::from_secs(3)), |world, ()| world.way.pass());
    }

    #[test]
    fn what_is_slow_within_the_limits_is_done() {
        let world = World::new();
        world.way.delay(Duration::from_millis(10));
        world.expect_all_well();
    }

    /// The server is well and a table of it is not to be had: statements on it come to their time limit.
    #[test]
    fn slow_in_one_place() {
        let world = World::new();
        let held = Session::holding(&world.cluster.url("patron"), "LOCK TABLE pats IN ACCESS EXCLUSIVE MODE");
        let waits = ["exchange of an unknown id", "list", "list of an older path", "get", "create", "patch"];
        let goes_on = ["exchange", "introspect", "gateway", "identities", "audit trail", "tenant", "page"];
        let of = |names: &[&str]| -> Vec<Asked> {
            world.everything().into_iter().filter(|asked| names.contains(&asked.what)).collect()
        };
        let (slow, quick) = (of(&waits), of(&goes_on));
        assert_eq!((slow.len(), quick.len()), (waits.len(), goes_on.len()));
        world.send_all(slow).iter().for_each(Answered::expect_outage);
        world.send_all(quick).iter().for_each(Answered::expect_well);
        world.expect_what_needs_no_database();
        drop(held);
        world.expect_all_well();
    }

    /// Whoever waits for the file that says so may send requests at once.
    #[test]
    fn a_service_says_that_it_is_ready_when_its_node_may_trust_its_memory() {
        let cluster = Cluster::start(Settings::default());
        let url = cluster.create_database();
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        let start = || Server::start_with(&data, &[], &[("PATRON_DATABASE_URL", &url)]);
        start().stop();
        let held = Session::holding(&url, "LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE");
        thread::scope(|scope| {
            let started = scope.spawn(start);
            while psql_at(&url, "SELECT COUNT(*) FROM pg_locks WHERE NOT granted") == "0\n" {}
            assert!(!data.with_extension("ready").exists());
            drop(held);
            started.join().unwrap();
        });
    }

    const READ_ONLY: &str = "ALTER DATABASE patron SET default_transaction_read_only = on";
    const NEW_CONNECTIONS: &str =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'patron'";
    const WRITABLE: &str = "ALTER DATABASE patron RESET default_transaction_read_only";

    /// As a managed service does it when a disk is nearly full.
    #[test]
    fn a_database_that_is_read_only() {
        World::new().outage(
            |world| world.cluster.psql("postgres", &format!("{READ_ONLY}; {NEW_CONNECTIONS}")),
            |world, _| drop(world.cluster.psql("postgres", WRITABLE)),
        );
    }

    #[test]
    fn a_server_that_is_read_only() {
        let name = "default_transaction_read_only";
        World::new().outage(
            |world| {
                world.cluster.configure(name, Some("on"));
                world.cluster.psql("postgres", NEW_CONNECTIONS);
            },
            |world, ()| world.cluster.configure(name, None),
        );
    }

    /// A default is what holds for transactions that do not say what they are, and Patron's say so: connections that are
    /// there go on writing, and new ones are refused.
    #[test]
    fn a_server_that_becomes_read_only() {
        let mut world = World::new();
        world.cluster.configure("default_transaction_read_only", Some("on"));
        world.expect_each_well_or_out();
        world.cluster.configure("default_transaction_read_only", None);
        world.expect_changes();
    }

    #[test]
    fn a_database_that_takes_no_connections() {
        World::new().outage(
            |world| {
                let refuse = format!("ALTER DATABASE patron ALLOW_CONNECTIONS false; {NEW_CONNECTIONS}");
                world.cluster.psql("postgres", &refuse)
            },
            |world, _| drop(world.cluster.psql("postgres", "ALTER DATABASE patron ALLOW_CONNECTIONS true")),
        );
    }

    /// A cluster whose connections others can use up.
    fn small_cluster() -> Cluster {
        let settings = Settings::default().with("max_connections", 30);
        Cluster::start(settings.with("superuser_reserved_connections", 0))
    }

    /// Connections of others, until the server takes no more.
    fn use_up(cluster: &Cluster) -> Vec<Session> {
        let url = cluster.url("postgres");
        std::iter::from_fn(|| Session::try_open(&url)).collect()
    }

    /// Ends them. Returns when the server has room again.
    fn leave(cluster: &Cluster, others: Vec<Session>) {
        drop(others);
        let mut last =
            std::iter::repeat_with(|| Session::try_open(&cluster.url("postgres"))).find_map(|it| it).unwrap();
        loop {
            last.say("SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'psql'");
            if last.hear() == "1\n" {
                return;
            }
        }
    }

    #[test]
    fn no_connection_left() {
        World::on(small_cluster()).outage(
            |world| {
                world.way.refuse();
                let own = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = 'patron'";
                while world.cluster.psql("postgres", own) != "0\n" {}
                let others = use_up(&world.cluster);
                world.way.pass();
                others
            },
            |world, others| leave(&world.cluster, others),
        );
    }

    #[test]
    fn no_connection_left_beside_those_that_a_node_has() {
        let world = World::on(small_cluster());
        let others = use_up(&world.cluster);
        world.expect_each_well_or_out();
        leave(&world.cluster, others);
        world.expect_changes();
    }

    #[test]
    fn within_its_lease_a_node_answers_from_memory() {
        let world = World::new();
        world.server.send(Call::get("/forward-auth").auth(&world.bearer)).expect(200);
        world.way.refuse();
        // The lease lasts for seconds, and these take milliseconds.
        world.exchange().expect(200);
        world.server.send(Call::get("/forward-auth").auth(&world.bearer)).expect(200);
        world.way.pass();
        world.expect_all_well();
    }

    /// What `patron serve` says to a database that it cannot begin with.
    #[track_caller]
    fn refused_at_the_start(url: &str) -> String {
        let dir = TempDir::new().unwrap();
        let output = patron(dir.path()).arg("serve").env("PATRON_DATABASE_URL", url).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let password = url.split([':', '@']).nth(2).unwrap();
        assert!(!said.contains(password), "{said}");
        said
    }

    #[test]
    fn a_server_that_cannot_be_begun_with_is_told_at_the_start() {
        let world = World::on(small_cluster());
        let url = world.cluster.url_through(world.way.address(), "patron");
        let told = |what: &str| {
            let said = refused_at_the_start(&url);
            assert!(said.contains(what), "{what}: {said}");
        };

        let others = use_up(&world.cluster);
        told("too many clients");
        leave(&world.cluster, others);

        world.way.refuse();
        told("onnect");
        world.way.pass();

        world.cluster.psql("postgres", READ_ONLY);
        told("does not allow writes");
        world.cluster.psql("postgres", WRITABLE);

        let standby = world.cluster.standby();
        world.way.target(standby.address());
        told("does not allow writes");
    }
}
