// The rational approximation of erf on [-4, 4] that Eigen and TensorFlow use for float32: x times a polynomial of x² over another one.
// https://gitlab.com/libeigen/eigen/-/blob/3.4/unsupported/Eigen/src/SpecialFunctions/SpecialFunctionsImpl.h

/** Beyond it erf is 1 in float32. */
export const ERF_LIMIT = 4;

/** Coefficients of the upper polynomial, the highest power first. */
export const ERF_NUMERATOR = [
  -2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5, -7.34990630326855e-4,
  -2.95459980854025e-3, -1.60960333262415e-2,
] as const;

/** Those of the lower one. */
export const ERF_DENOMINATOR = [
  -1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3, -1.42647390514189e-2,
] as const;
