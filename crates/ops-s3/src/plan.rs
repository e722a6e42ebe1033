//! How an object is cut into parts.

use crate::profile::StoreProfile;

const MIB: u64 = 1024 * 1024;

/// After this share of the parts that a store allows, parts become twice as large.
const STEPS: u64 = 10;

/// The sizes of the parts of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    base: u64,
    largest: u64,
    max_parts: u64,
    equal: bool,
}

impl Plan {
    /// A plan for objects of unknown length.
    ///
    /// Where no bound is known, parts grow so that the number of parts does not end the
    /// object, up to what fits the budget. Where the bound is known, or the store wants
    /// equal parts, they are as large as they need to be from the beginning.
    pub(crate) fn new(
        profile: &StoreProfile,
        part_bytes: u64,
        byte_budget: u64,
        bound: Option<u64>,
    ) -> Self {
        let max_parts = u64::from(profile.max_parts.max(1));
        let needed = bound.map_or(0, |bound| whole_mib(bound.div_ceil(max_parts)));
        let base = part_bytes
            .max(needed)
            .clamp(profile.min_part_bytes, profile.max_part_bytes);
        let equal = profile.equal_parts || bound.is_some();
        let largest = if equal {
            base
        } else {
            byte_budget.clamp(base, profile.max_part_bytes)
        };
        Self {
            base,
            largest,
            max_parts,
            equal,
        }
    }

    /// The plan for an object of this length: equal parts, no more than allowed.
    pub(crate) fn of_length(self, bytes: u64) -> Self {
        let needed = whole_mib(bytes.div_ceil(self.max_parts));
        Self {
            base: self.base.max(needed),
            largest: self.base.max(needed),
            equal: true,
            ..self
        }
    }

    /// The size of the part with this index, counted from 0; `None` where there may be none.
    pub(crate) fn part_bytes(&self, index: u64) -> Option<u64> {
        if index >= self.max_parts {
            return None;
        }
        if self.equal {
            return Some(self.base);
        }
        let doublings = index * STEPS / self.max_parts;
        let grown = self.base.saturating_mul(1 << doublings.min(STEPS));
        Some(grown.min(self.largest))
    }

    /// The largest object that fits all the parts.
    pub(crate) fn max_bytes(&self) -> u64 {
        (0..self.max_parts)
            .filter_map(|index| self.part_bytes(index))
            .fold(0, u64::saturating_add)
    }
}

fn whole_mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB).saturating_mul(MIB)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1024 * MIB;

    fn aws() -> StoreProfile {
        StoreProfile::aws()
    }

    #[test]
    fn parts_grow_so_that_their_number_does_not_end_the_object() {
        let plan = Plan::new(&aws(), 8 * MIB, 64 * MIB, None);
        assert_eq!(plan.part_bytes(0), Some(8 * MIB));
        assert_eq!(plan.part_bytes(999), Some(8 * MIB));
        assert_eq!(plan.part_bytes(1_000), Some(16 * MIB));
        assert_eq!(plan.part_bytes(9_999), Some(64 * MIB));
        assert_eq!(plan.part_bytes(10_000), None);
        assert!(plan.max_bytes() > 490 * GIB);
    }

    #[test]
    fn equal_parts_are_equal_and_a_bound_makes_them_large_enough() {
        let plan = Plan::new(&StoreProfile::r2(), 8 * MIB, 64 * MIB, Some(500 * GIB));
        let size = plan.part_bytes(0).unwrap();
        assert!((0..10_000).all(|index| plan.part_bytes(index) == Some(size)));
        assert!(plan.max_bytes() >= 500 * GIB);
        assert!(size < 53 * MIB);
    }

    proptest! {
        #[test]
        fn an_object_of_known_length_fits(bytes in 0..5_u64 * 1024 * GIB) {
            let plan = Plan::new(&aws(), 8 * MIB, 64 * MIB, None).of_length(bytes);
            prop_assert!(plan.max_bytes() >= bytes);
            prop_assert!(plan.part_bytes(0) == plan.part_bytes(9_999));
        }

        #[test]
        fn a_bound_is_kept(bound in 0..5_u64 * 1024 * GIB) {
            let plan = Plan::new(&aws(), 8 * MIB, 64 * MIB, Some(bound));
            prop_assert!(plan.max_bytes() >= bound);
        }
    }
}
