"""Ed25519 signature verification, plainly after RFC 8032 section 5.1. It is slow and handles no secret."""
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p, q):  # section 5.1.4; a point is (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(n, p):
    q = (0, 1, 1, 0)
    while n:
        q, p, n = (add(q, p) if n & 1 else q), add(p, p), n >> 1
    return q


def decode(raw):  # section 5.1.3
    sign, y = divmod(int.from_bytes(raw, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or y >= P or len(raw) != 32 or x == 0 and sign:
        raise ValueError("not a point of Ed25519")
    x = x if x % 2 == sign else P - x
    return x, y, 1, x * y % P


def encode(p):
    x, y = (c * pow(p[2], -1, P) % P for c in p[:2])
    return (y | x % 2 << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verify(key, message, signature):  # section 5.1.7: s*B - k*A must be R
    (x, y, z, t), r, s = decode(key), signature[:32], int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    return len(signature) == 64 and s < L and encode(add(multiply(s, BASE), multiply(k, (P - x, y, z, P - t)))) == r
