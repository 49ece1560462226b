//! Sets that grow together; no two share a member.

/// Members in sets, each known by its smallest member.
pub(crate) struct DisjointSets {
    /// For each member itself or an earlier one of its set.
    parents: Vec<usize>,
}

impl DisjointSets {
    /// As many sets of one member each.
    pub(crate) fn of(count: usize) -> DisjointSets {
        DisjointSets { parents: (0..count).collect() }
    }

    /// The smallest member of a member's set.
    pub(crate) fn smallest(&mut self, mut member: usize) -> usize {
        while self.parents[member] != member {
            self.parents[member] = self.parents[self.parents[member]];
            member = self.parents[member];
        }
        member
    }

    /// Makes one set of the sets of two members.
    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.smallest(a), self.smallest(b));
        self.parents[a.max(b)] = a.min(b);
    }
}
