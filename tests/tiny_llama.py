#!/usr/bin/env python3
"""A real llama.cpp server over a tiny model with random weights, to put behind the proxy.

It answers like any OpenAI-compatible server (its own chunk fields, its own timings, usage, errors), but what it
says is noise: the weights are random and made here, nothing is downloaded.

Set-up:  scripts/setup
Run:     .venvs/tools/bin/python tests/tiny_llama.py --port 9800     (prints the base URL when ready; stop it with SIGTERM)
"""

import argparse
import os
import signal
import sys
import tempfile
import threading

import gguf
import numpy as np

WIDTH, HEADS, LAYERS, FEED_FORWARD, CONTEXT = 64, 4, 2, 128, 2048
WORDS = ["the", "of", "stream", "token", "water", "and", "is", "flows", "over", "a", "gate", "é", "日", "本", "🌊", ",", "."]
CHAT_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9800, help="0 takes any free port")
    parser.add_argument("--parallel", type=int, default=4, help="streams served at once")
    args = parser.parse_args()

    import xllamacpp  # after the arguments: it takes a moment to load

    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "tiny.gguf")
        write_model(path)
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.hostnames, params.port = ["127.0.0.1"], args.port
        params.n_ctx, params.n_parallel, params.n_predict = 8192, args.parallel, 256
        params.cpuparams.n_threads = 1
        params.warmup = False
        server = xllamacpp.Server(params)
        print(f"tiny llama on {server.listening_address}/v1", flush=True)

        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        stop.wait()
    sys.stdout.flush()
    # The server's own threads would keep the interpreter from leaving.
    os._exit(0)


def write_model(path: str) -> None:
    """Writes a 2-layer llama of width 64 with byte tokens and a few dozen word pieces, seeded."""
    rng = np.random.default_rng(7)
    tokens, types = vocabulary()
    count = len(tokens)
    model = gguf.GGUFWriter(path, "llama")
    model.add_name("tiny-random")
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(FEED_FORWARD)
    model.add_head_count(HEADS)
    model.add_head_count_kv(HEADS)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_vocab_size(count)
    model.add_tokenizer_model("llama")
    model.add_token_list(tokens)
    model.add_token_scores([0.0] * count)
    model.add_token_types(types)
    model.add_bos_token_id(1)
    model.add_eos_token_id(2)
    model.add_unk_token_id(0)
    model.add_chat_template(CHAT_TEMPLATE)

    def noise(name: str, *shape: int) -> None:
        model.add_tensor(name, rng.normal(0, 0.08, shape).astype(np.float32))

    def ones(name: str) -> None:
        model.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    noise("token_embd.weight", count, WIDTH)
    ones("output_norm.weight")
    # Words outweigh bytes, so that most of the noise is readable.
    output = rng.normal(0, 0.4, (count, WIDTH)).astype(np.float32)
    output[: count - 2 * len(WORDS)] *= 0.02
    model.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        ones(block + "attn_norm.weight")
        ones(block + "ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            noise(f"{block}{part}.weight", WIDTH, WIDTH)
        noise(block + "ffn_gate.weight", FEED_FORWARD, WIDTH)
        noise(block + "ffn_up.weight", FEED_FORWARD, WIDTH)
        noise(block + "ffn_down.weight", WIDTH, FEED_FORWARD)
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


def vocabulary() -> tuple[list[bytes], list[gguf.TokenType]]:
    """Three control tokens, every byte, and each word with and without a space before it."""
    tokens = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    for word in WORDS:
        tokens += [word.encode(), ("\u2581" + word).encode()]
        types += [gguf.TokenType.NORMAL] * 2
    return tokens, types


if __name__ == "__main__":
    main()
