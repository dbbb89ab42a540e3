//! A node that is stopped while others revoke what it has in memory.

use std::thread;

use super::Client;
use crate::history::Fate;
use crate::model::Credential;

impl Client<'_> {
    /// A PAT of this owner's and an access token made from it, which every node has in memory.
    pub(crate) fn known_pat(&mut self, owner: usize) -> Option<(usize, usize)> {
        let pat = self.create(0, owner)?;
        let token = self.exchange(0, pat)?;
        for node in self.all_nodes() {
            self.call(node, Credential::Pat(pat));
            self.call(node, Credential::Token(token));
        }
        Some((pat, token))
    }

    /// As many of the administrator's, for somebody who is to have them to themselves.
    pub(crate) fn known_pats(&mut self, count: usize) -> Vec<(usize, usize)> {
        (0..count).map_while(|_| self.known_pat(self.cast.admin)).collect()
    }

    /// Stops a node that has these in memory, and revokes them at the others. The node goes on when all of that has
    /// been answered and no sooner, so what waits for it to go on is never answered; it finds requests as it wakes.
    pub(crate) fn revoke_beside_a_frozen_node(&self, frozen: usize, known: &[(usize, usize)]) -> Vec<Fate> {
        let node = &self.world.nodes[frozen];
        node.freeze();
        let fates = thread::scope(|scope| {
            let revocations = known.iter().enumerate().map(|(number, &(pat, token))| {
                let other = (frozen + 1 + number % 2) % self.world.nodes.len();
                scope.spawn(move || match number % 4 {
                    0 | 1 => self.delete_only(other, pat),
                    _ => self.revoke_as_well(other, token),
                })
            });
            let revocations: Vec<_> = revocations.collect();
            revocations.into_iter().map(|revocation| revocation.join().unwrap()).collect()
        });
        thread::scope(|scope| {
            for &(_, token) in known {
                scope.spawn(move || self.call(frozen, Credential::Token(token)));
            }
            node.thaw();
        });
        for &(_, token) in known {
            self.ask_every_node(Credential::Token(token));
        }
        fates
    }

    /// What every node thinks of a credential.
    pub(crate) fn ask_every_node(&self, of: Credential) {
        for node in self.all_nodes() {
            self.call(node, of);
        }
    }
}
