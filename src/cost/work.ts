/** @file What a program asks of a backend: matrix products by shape, bytes moved by kind of operation, kernel calls. */

/** What a product is part of. */
export type ProductClass = "layers" | "rope" | "attention" | "encode" | "decode" | "unembed";

/** `batch` products `[m, k] x [k, n]`. */
export interface Product {
  readonly of: ProductClass;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly batch: number;
}

/** Kinds of operations beside products: sums and the like, exponentials and the like, reordering, and reading to the host. */
export const TRAFFIC_KINDS = ["arithmetic", "special", "copy", "host"] as const;
/** A kind of operation beside products. */
export type TrafficKind = (typeof TRAFFIC_KINDS)[number];

/** Floating point operations of a product. */
export function flopsOf({ m, k, n, batch }: Product): number {
  return 2 * batch * m * k * n;
}

/** What the work is for. */
export interface Device {
  /** Bytes of a number. */
  readonly valueBytes: number;
  /** The backend has kernels of our own: norms, GELU, rope and attention in one call each, products of the features that fire alone. */
  readonly ownKernels: boolean;
}

/** Adds up what is asked of a backend. */
export class Work {
  /** Products and how often each is computed, by shape. */
  readonly products = new Map<string, { readonly product: Product; times: number }>();
  /** Bytes read and written, by kind of operation. */
  readonly traffic: Record<TrafficKind, number> = { arithmetic: 0, special: 0, copy: 0, host: 0 };
  /** Kernel calls, views included. */
  calls = 0;

  readonly device: Device;

  constructor(device: Device) {
    this.device = device;
  }

  /** One product; batch products count once. */
  product(of: ProductClass, m: number, k: number, n: number, batch = 1): void {
    this.calls += 1;
    if (m * k * n * batch > 0) this.#add({ of, m, k, n, batch }, 1);
  }

  /**
   * Operations on tensors of `values` numbers.
   * @param arrays - how many such tensors are read and written in all.
   * @param calls - kernel calls, views among them.
   */
  move(kind: TrafficKind, values: number, arrays: number, calls: number): void {
    this.calls += calls;
    this.traffic[kind] += values * this.device.valueBytes * arrays;
  }

  /** Adds other work, `times` times. */
  add(other: Work, times = 1): void {
    for (const { product, times: each } of other.products.values()) this.#add(product, each * times);
    for (const kind of TRAFFIC_KINDS) this.traffic[kind] += other.traffic[kind] * times;
    this.calls += other.calls * times;
  }

  /** Floating point operations in products, by what they are part of. */
  flops(): Record<ProductClass, number> {
    const sums: Record<ProductClass, number> = { layers: 0, rope: 0, attention: 0, encode: 0, decode: 0, unembed: 0 };
    for (const { product, times } of this.products.values()) sums[product.of] += flopsOf(product) * times;
    return sums;
  }

  /** Bytes moved outside products. */
  bytes(): number {
    return TRAFFIC_KINDS.reduce((sum, kind) => sum + this.traffic[kind], 0);
  }

  #add(product: Product, times: number): void {
    const { of, m, k, n, batch } = product;
    const key = [of, m, k, n, batch].join(" ");
    const found = this.products.get(key);
    if (found === undefined) this.products.set(key, { product, times });
    else found.times += times;
  }
}
