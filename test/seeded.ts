import { configureGlobal, readConfigureGlobal } from 'fast-check';

/** Properties try the same values each time, unless another seed is asked for: a test that fails now and then helps nobody. */
configureGlobal({ ...readConfigureGlobal(), seed: Number(process.env['SLIPWAY_PROPERTY_SEED'] ?? 20_260) });
