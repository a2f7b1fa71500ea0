/** @file Products of stretches of float64 arrays. Plain loops over plain indexes: they run billions of times. */

/** Product of `length` numbers of both, in four sums that do not wait for one another. */
export function dot(a: Float64Array, offsetA: number, b: Float64Array, offsetB: number, length: number): number {
  // One by one: taking a list of zeros apart would cost more than a short product.
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = 0;
  for (; k + 3 < length; k += 4) {
    s0 += (a[offsetA + k] as number) * (b[offsetB + k] as number);
    s1 += (a[offsetA + k + 1] as number) * (b[offsetB + k + 1] as number);
    s2 += (a[offsetA + k + 2] as number) * (b[offsetB + k + 2] as number);
    s3 += (a[offsetA + k + 3] as number) * (b[offsetB + k + 3] as number);
  }
  for (; k < length; k++) s0 += (a[offsetA + k] as number) * (b[offsetB + k] as number);
  return s0 + s1 + (s2 + s3);
}

/** Rows of a matrix, one after the other. */
export interface Rows {
  readonly values: Float64Array;
  /** Where the first of them begins. */
  readonly offset: number;
  /** From the beginning of one to that of the next. */
  readonly stride: number;
  readonly count: number;
}

/** Products of `length` numbers of `a` with as many of each row, into `products`: four rows at a time, so that `a` is read once for them. */
export function dots(
  a: Float64Array,
  offsetA: number,
  { values: b, offset, stride, count }: Rows,
  length: number,
  products: Float64Array,
): void {
  let row = 0;
  for (; row + 3 < count; row += 4) {
    const b0 = offset + row * stride;
    const [b1, b2, b3] = [b0 + stride, b0 + 2 * stride, b0 + 3 * stride] as const;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let k = 0; k < length; k++) {
      const one = a[offsetA + k] as number;
      s0 += one * (b[b0 + k] as number);
      s1 += one * (b[b1 + k] as number);
      s2 += one * (b[b2 + k] as number);
      s3 += one * (b[b3 + k] as number);
    }
    products[row] = s0;
    products[row + 1] = s1;
    products[row + 2] = s2;
    products[row + 3] = s3;
  }
  for (; row < count; row++) products[row] = dot(a, offsetA, b, offset + row * stride, length);
}
