//! Which machines there should be.

use std::collections::BTreeMap;

use ops_core::{ErrorKind, Result};

use crate::error::refuse;
use crate::model::{Config, Machine};
use crate::settings::{Count, Shape};

/// A region, or Fly's own choice where none is known.
pub(crate) type Place = Option<String>;

/// A machine to be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) region: Place,
    pub(crate) config: Config,
    /// The machines whose place it takes.
    pub(crate) replaces: Vec<String>,
}

/// How many machines run where.
pub(crate) fn census(machines: &[&Machine]) -> BTreeMap<Place, u32> {
    let mut census = BTreeMap::new();
    for machine in machines {
        *census.entry(machine.region.clone()).or_default() += 1;
    }
    census
}

/// How many machines there should be in each region. What is not asked for stays: machines
/// are taken from where most are, and added where fewest are.
pub(crate) fn target(
    mut census: BTreeMap<Place, u32>,
    shape: &Shape,
) -> Result<BTreeMap<Place, u32>> {
    if let Some(Count::Each(each)) = &shape.count {
        let each = each.iter().filter(|(_, count)| **count > 0);
        return Ok(each
            .map(|(region, count)| (Some(region.as_str().to_owned()), *count))
            .collect());
    }
    let mut total = match &shape.count {
        Some(Count::Total(total)) => *total,
        _ => census.values().sum::<u32>().max(1),
    };
    if let Some(regions) = &shape.regions {
        let names: Vec<Place> = regions
            .iter()
            .map(|it| Some(it.as_str().to_owned()))
            .collect();
        let least = u32::try_from(names.len()).unwrap_or(u32::MAX);
        if shape.count.is_some() && total < least {
            let text = format!("{total} machines cannot be in {least} regions");
            return Err(refuse(ErrorKind::InvalidInput, text));
        }
        total = total.max(least);
        census.retain(|place, _| names.contains(place));
        for name in names {
            census.entry(name).or_insert(0);
        }
        // Every region that was asked for gets one before another gets a second.
        let mut spare = total - least;
        for count in census.values_mut() {
            let more = count.saturating_sub(1).min(spare);
            spare -= more;
            *count = 1 + more;
        }
    } else if census.is_empty() {
        census.insert(None, 0);
    }
    balance(&mut census, total);
    census.retain(|_, count| *count > 0);
    Ok(census)
}

fn balance(census: &mut BTreeMap<Place, u32>, total: u32) {
    while census.values().sum::<u32>() > total
        && let Some(most) = census.values_mut().rev().max_by_key(|count| **count)
    {
        *most -= 1;
    }
    while census.values().sum::<u32>() < total
        && let Some(fewest) = census.values_mut().min_by_key(|count| **count)
    {
        *fewest += 1;
    }
}

/// The machines that take the place of others: one for one where that fits the target, and
/// else made after the pattern of one that is there.
pub(crate) fn slots(
    target: &BTreeMap<Place, u32>,
    old: &[&Machine],
    pattern: &Config,
) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut left: Vec<&Machine> = old.to_vec();
    for (place, count) in target {
        for _ in 0..*count {
            let here = left.iter().position(|it| it.region == *place);
            let taken = here.map(|at| left.remove(at));
            slots.push(Slot {
                region: place.clone(),
                config: taken.map_or_else(|| pattern.clone(), |it| it.config.clone()),
                replaces: taken.map(|it| it.id.clone()).into_iter().collect(),
            });
        }
    }
    // Those that are not replaced one for one go as well.
    if let Some(first) = slots.first_mut() {
        first
            .replaces
            .extend(left.into_iter().map(|it| it.id.clone()));
    }
    slots
}

#[cfg(test)]
mod tests {
    use ops_core::id::Region;
    use serde_json::json;

    use super::*;

    fn places(pairs: &[(&str, u32)]) -> BTreeMap<Place, u32> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, count)| (Some((*name).to_owned()), *count))
            .collect()
    }

    fn shape(count: Option<u32>, regions: &[&str]) -> Shape {
        let regions: Vec<_> = regions.iter().map(|it| Region::new(*it).unwrap()).collect();
        Shape {
            count: count.map(Count::Total),
            regions: (!regions.is_empty()).then_some(regions),
            sleep: None,
        }
    }

    #[test]
    fn machines_are_spread_and_none_is_moved_without_need() {
        let now = places(&[("ams", 3), ("fra", 1)]);
        for (shape, expected) in [
            (shape(None, &[]), places(&[("ams", 3), ("fra", 1)])),
            (shape(Some(6), &[]), places(&[("ams", 3), ("fra", 3)])),
            (shape(Some(2), &[]), places(&[("ams", 1), ("fra", 1)])),
            (shape(Some(1), &[]), places(&[("fra", 1)])),
            (
                shape(None, &["fra", "lhr"]),
                places(&[("fra", 2), ("lhr", 2)]),
            ),
            (
                shape(Some(2), &["ams", "lhr"]),
                places(&[("ams", 1), ("lhr", 1)]),
            ),
            (shape(None, &["ams"]), places(&[("ams", 4)])),
        ] {
            assert_eq!(target(now.clone(), &shape).unwrap(), expected, "{shape:?}");
        }
    }

    #[test]
    fn the_first_machine_goes_where_fly_wants_it() {
        let expected = BTreeMap::from([(None, 1)]);
        assert_eq!(
            target(BTreeMap::new(), &shape(None, &[])).unwrap(),
            expected
        );
    }

    #[test]
    fn fewer_machines_than_regions_are_refused() {
        let err = target(places(&[("ams", 1)]), &shape(Some(1), &["ams", "fra"])).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn each_old_machine_is_replaced_by_one_of_its_own_pattern() {
        let machine = |id: &str, region: &str| -> Machine {
            let config = json!({ "image": id });
            serde_json::from_value(json!({ "id": id, "region": region, "config": config })).unwrap()
        };
        let (one, two, three) = (
            machine("1", "ams"),
            machine("2", "ams"),
            machine("3", "fra"),
        );
        let made = slots(
            &places(&[("ams", 1), ("lhr", 1)]),
            &[&one, &two, &three],
            &three.config,
        );
        let told: Vec<_> = made
            .iter()
            .map(|it| {
                (
                    it.region.as_deref(),
                    it.config.text("image"),
                    it.replaces.join(","),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (Some("ams"), Some("1"), "1,2,3".to_owned()),
                (Some("lhr"), Some("3"), String::new()),
            ]
        );
    }
}
