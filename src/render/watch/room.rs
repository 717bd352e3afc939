//! Who gets how many rows.

/// How many rows somebody wants: the least that is of use, what is good to have, and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) least: usize,
    pub(super) good: usize,
    pub(super) all: usize,
}

impl Wish {
    /// Rows for `fixed` lines that always stand there and a list of `list`, of which so many are the least
    /// and so many are good to have.
    pub(super) fn of(fixed: usize, list: usize, least: usize, good: usize) -> Self {
        Self { least: fixed + list.min(least), good: fixed + list.min(good), all: fixed + list }
    }
}

/// Shares `room` rows, the first the most important: whom there is no room for has his title alone, or
/// nothing, and nobody gets what is good for him while another one could have the least.
pub(super) fn share(room: usize, wishes: &[Wish]) -> Vec<usize> {
    let mut left = room;
    let mut rows = vec![0; wishes.len()];
    for (index, (rows, wish)) in rows.iter_mut().zip(wishes).enumerate() {
        // Of the first, a part is better than nothing; of the others, a part tells no more than the title.
        *rows = if wish.least <= left || index == 0 { wish.least.min(left) } else { left.min(1) };
        left -= *rows;
    }
    for level in [|wish: &Wish| wish.good, |wish: &Wish| wish.all] {
        for (rows, wish) in rows.iter_mut().zip(wishes).filter(|(rows, wish)| **rows >= wish.least)
        {
            let more = level(wish).saturating_sub(*rows).min(left);
            *rows += more;
            left -= more;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn wish(least: usize, good: usize, all: usize) -> Wish {
        Wish { least, good, all }
    }

    #[test]
    fn the_less_important_give_way() {
        let wishes = [wish(3, 5, 20), wish(4, 6, 6), wish(2, 4, 100)];
        assert_eq!(share(0, &wishes), [0, 0, 0]);
        assert_eq!(share(2, &wishes), [2, 0, 0]);
        assert_eq!(share(4, &wishes), [3, 1, 0]);
        assert_eq!(share(5, &wishes), [3, 1, 1]);
        assert_eq!(share(7, &wishes), [3, 4, 0]);
        assert_eq!(share(9, &wishes), [3, 4, 2]);
        assert_eq!(share(12, &wishes), [5, 5, 2]);
        assert_eq!(share(15, &wishes), [5, 6, 4]);
        assert_eq!(share(40, &wishes), [20, 6, 14]);
        assert_eq!(share(1_000, &wishes), [20, 6, 100]);
        assert_eq!(share(9, &[]), [0; 0]);
    }
}
