//! What the features of a next bar need of all bars before it.

/// What is recursive, after some bars. The windows are not in it: they are filled again from the last
/// [`LOOKBACK`](super::LOOKBACK) bars.
///
/// While an average is being seeded, its field holds the sum so far.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// How many bars went in.
    pub(super) seen: u64,
    /// The date of the session that the last bar belongs to, days since 0000-12-31; [`NO_SESSION`]
    /// before the first.
    pub(super) session: i64,
    /// Price.
    pub(super) ema_12: f64,
    /// Price; also MACD's slow one.
    pub(super) ema_26: f64,
    /// Price; EMA(12) with MACD's late seed.
    pub(super) macd_fast: f64,
    /// Price.
    pub(super) macd_signal: f64,
    /// Price; Wilder's average of gains, for RSI.
    pub(super) gain: f64,
    /// Price; that of losses.
    pub(super) loss: f64,
    /// Price; Wilder's average of true ranges.
    pub(super) atr: f64,
    /// Price; ADX's decaying sum of +DM.
    pub(super) plus_dm: f64,
    /// Price; that of -DM.
    pub(super) minus_dm: f64,
    /// 0 to 100.
    pub(super) adx: f64,
    /// Volume; NaN before the first bar that has one.
    pub(super) obv: f64,
    /// Price times volume, since the session began.
    pub(super) turnover: f64,
    /// Volume, since the session began.
    pub(super) traded: f64,
}

/// No session yet.
const NO_SESSION: i64 = i64::MIN;

/// The layout of the bytes, and the meaning of the numbers in them. To be raised when a formula changes:
/// a state of another version is refused, and the series is computed anew.
const VERSION: u8 = 1;

const NUMBERS: usize = 13;

impl State {
    /// How many bytes [`Self::to_bytes`] gives.
    pub const BYTES: usize = 1 + 8 * (2 + NUMBERS);

    /// The state before the first bar.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seen: 0,
            session: NO_SESSION,
            ema_12: 0.0,
            ema_26: 0.0,
            macd_fast: 0.0,
            macd_signal: 0.0,
            gain: 0.0,
            loss: 0.0,
            atr: 0.0,
            plus_dm: 0.0,
            minus_dm: 0.0,
            adx: 0.0,
            obv: f64::NAN,
            turnover: 0.0,
            traded: 0.0,
        }
    }

    /// How many bars it is the state after.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Its bytes, to be stored: a version, then numbers of 8 bytes, little endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [VERSION; Self::BYTES];
        let whole = [self.seen.to_le_bytes(), self.session.to_le_bytes()];
        let words = whole.into_iter().chain(self.numbers().map(f64::to_le_bytes));
        for (place, word) in bytes[1..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word);
        }
        bytes
    }

    /// The state of these bytes; `None` when they are of another length or version, or count more bars
    /// than there can be.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, words) = bytes.split_first()?;
        let (words, rest) = words.as_chunks::<8>();
        let [seen, session, numbers @ ..] = words else { return None };
        let numbers: &[[u8; 8]; NUMBERS] = numbers.try_into().ok()?;
        let seen = u64::from_le_bytes(*seen);
        if version != VERSION || !rest.is_empty() || i64::try_from(seen).is_err() {
            return None;
        }
        let mut state = Self::of_numbers(numbers.map(f64::from_le_bytes));
        state.seen = seen;
        state.session = i64::from_le_bytes(*session);
        Some(state)
    }

    fn numbers(&self) -> [f64; NUMBERS] {
        [
            self.ema_12,
            self.ema_26,
            self.macd_fast,
            self.macd_signal,
            self.gain,
            self.loss,
            self.atr,
            self.plus_dm,
            self.minus_dm,
            self.adx,
            self.obv,
            self.turnover,
            self.traded,
        ]
    }

    /// The inverse of [`Self::numbers`].
    const fn of_numbers(numbers: [f64; NUMBERS]) -> Self {
        let [
            ema_12,
            ema_26,
            macd_fast,
            macd_signal,
            gain,
            loss,
            atr,
            plus_dm,
            minus_dm,
            adx,
            obv,
            turnover,
            traded,
        ] = numbers;
        Self {
            ema_12,
            ema_26,
            macd_fast,
            macd_signal,
            gain,
            loss,
            atr,
            plus_dm,
            minus_dm,
            adx,
            obv,
            turnover,
            traded,
            ..Self::new()
        }
    }

    /// The state after the same bars with their prices times `factor`, and their volumes by it.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        let prices = [
            &mut self.ema_12,
            &mut self.ema_26,
            &mut self.macd_fast,
            &mut self.macd_signal,
            &mut self.gain,
            &mut self.loss,
            &mut self.atr,
            &mut self.plus_dm,
            &mut self.minus_dm,
        ];
        prices.into_iter().for_each(|price| *price *= factor);
        [&mut self.obv, &mut self.traded].into_iter().for_each(|volume| *volume /= factor);
        self
    }

    /// Whether a number in it is so large that what follows from it may be infinite.
    pub(super) fn is_extreme(&self) -> bool {
        let numbers = self.numbers();
        let obv_unknown = self.obv.is_nan();
        let extreme =
            numbers.iter().filter(|number| !super::engine::is_tame_number(**number)).count();
        extreme > usize::from(obv_unknown)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}
