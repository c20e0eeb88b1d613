//! The rows of models as the build script packs them (`catalog/pack.rs`): one text, a sixth of what the
//! structs would take. A model is unpacked when it is first asked for, and stays.

use std::sync::OnceLock;

use super::table::{
    CATEGORIES, DEFAULTS, EFFORTS, MODALITIES, PARAMETERS, POLICIES, PROTOCOLS, PROVIDERS, ROWS, SEARCHES,
    STARTS, TIERS, WORDS,
};
use super::{Model, Offer, Prices, Reasoning};
use crate::money::Price;

pub(super) const MODELS: usize = STARTS.len();

/// The model of a row, by slug from 0.
pub(super) fn model(row: usize) -> &'static Model {
    static UNPACKED: [OnceLock<&'static Model>; MODELS] = [const { OnceLock::new() }; MODELS];
    UNPACKED[row].get_or_init(|| Box::leak(Box::new(Reader::at(row).model())))
}

/// The slug of a row, which needs no unpacking.
pub(super) fn slug(row: usize) -> &'static str {
    Reader::at(row).string()
}

/// All of them.
pub(super) fn models() -> &'static [&'static Model] {
    static ALL: OnceLock<Vec<&'static Model>> = OnceLock::new();
    ALL.get_or_init(|| (0..MODELS).map(model).collect())
}

struct Reader {
    rest: &'static str,
}

impl Reader {
    fn at(row: usize) -> Reader {
        Reader { rest: &ROWS[STARTS[row] as usize..] }
    }

    #[inline(never)]
    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        for (at, byte) in self.rest.bytes().enumerate() {
            number |= u64::from(byte & 63) << shift;
            shift += 6;
            if byte < 64 {
                self.rest = &self.rest[at + 1..];
                break;
            }
        }
        number
    }

    fn index(&mut self) -> usize {
        self.number() as usize
    }

    #[inline(never)]
    fn optional(&mut self) -> Option<u64> {
        self.number().checked_sub(1)
    }

    fn take(&mut self, length: u64) -> &'static str {
        let (text, rest) = self.rest.split_at(length as usize);
        self.rest = rest;
        text
    }

    #[inline(never)]
    fn string(&mut self) -> &'static str {
        let length = self.number();
        self.take(length)
    }

    #[inline(never)]
    fn optional_string(&mut self) -> Option<&'static str> {
        let length = self.optional()?;
        Some(self.take(length))
    }

    /// A string, or where it is empty what it most often is.
    fn string_or(&mut self, usual: &'static str) -> &'static str {
        let text = self.string();
        if text.is_empty() { usual } else { text }
    }

    fn flag(&mut self) -> Option<bool> {
        self.optional().map(|flag| flag == 1)
    }

    fn model(&mut self) -> Model {
        let slug = self.string();
        Model {
            slug,
            canonical_slug: self.string_or(slug),
            name: self.string(),
            description: self.string(),
            created: self.number(),
            expires: self.optional_string(),
            successor: self.optional_string(),
            distillable: self.flag(),
            default_parameters: DEFAULTS[self.index()],
            context_length: self.number(),
            input_modalities: MODALITIES[self.index()],
            output_modalities: MODALITIES[self.index()],
            tokenizer: self.string(),
            hugging_face_id: self.optional_string(),
            knowledge_cutoff: self.optional_string(),
            categories: CATEGORIES[self.index()],
            reasoning: self.flag().map(|mandatory| Reasoning {
                mandatory,
                default_enabled: self.flag(),
                default_effort: WORDS[self.index()],
                efforts: EFFORTS[self.index()],
            }),
            offers: self.offers(slug),
        }
    }

    fn offers(&mut self, slug: &'static str) -> &'static [Offer] {
        let offers: Vec<Offer> = (0..self.number()).map(|_| self.offer(slug)).collect();
        offers.leak()
    }

    fn offer(&mut self, slug: &'static str) -> Offer {
        let provider = &PROVIDERS[self.index()];
        Offer {
            provider,
            tag: self.string_or(provider.slug),
            region: WORDS[self.index()],
            service_tier: WORDS[self.index()],
            data_policy: POLICIES[self.index()],
            upstream_model: self.string_or(slug),
            protocol: PROTOCOLS[self.index()],
            context_length: self.number(),
            max_output: self.optional(),
            quantization: WORDS[self.index()],
            prices: self.prices(),
            parameters: PARAMETERS[self.index()],
        }
    }

    fn price(&mut self) -> Price {
        Price::from_pico(self.number() as i64)
    }

    /// One of those that most offers do not have, by its bit.
    fn rare(&mut self, present: u64, bit: u32) -> Option<Price> {
        (present >> bit & 1 == 1).then(|| self.price())
    }

    fn prices(&mut self) -> Prices {
        let (prompt, completion, image_tokens) = (self.price(), self.price(), self.number());
        let present = self.number();
        Prices {
            prompt,
            completion,
            request: self.rare(present, 0).unwrap_or(Price::ZERO),
            image_tokens,
            cache_read: self.rare(present, 1),
            cache_write: self.rare(present, 2),
            cache_write_1h: self.rare(present, 3),
            reasoning: self.rare(present, 4),
            audio_input: self.rare(present, 5),
            audio_output: self.rare(present, 6),
            image_output: self.rare(present, 7),
            web_search: SEARCHES[self.index()],
            tiers: TIERS[self.index()],
        }
    }
}
