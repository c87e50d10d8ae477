use super::{RequireToken, dpop::Dpop, extract::DpopReading};

impl<V> RequireToken<V> {
    /// Reads DPoP tokens, which need a proof of possession beside them, besides the other locations.
    /// Defaults to refusing tokens that are bound to a key.
    ///
    /// A token that is bound to a key is never taken without its proof, and one that is not bound never
    /// with one. Its refusals offer DPoP with the algorithms of proofs.
    pub fn with_dpop(self, mut dpop: Dpop) -> Self {
        self.change(|settings| {
            let (alone, names) = (dpop.is_required, dpop.names.clone());
            let reading = if alone { DpopReading::Alone } else { DpopReading::Beside };
            settings.sources.set_dpop(reading);
            let offers_basic = settings.sources.reads_basic();
            dpop.set_clock(&settings.clock);
            settings.dpop = Some(dpop);
            settings.challenges.change(|challenges| {
                challenges.dpop = Some(names);
                challenges.offers_bearer = !alone;
                challenges.offers_basic = offers_basic;
            });
        })
    }
}
