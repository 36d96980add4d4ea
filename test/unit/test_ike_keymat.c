/* Keys of IKE SAs and children: against NIST's ACVP case, and against the formulas of RFC 7296
 * written down once more in Python (hmac, and the AES PRFs from AES alone). */
#include <errno.h>

#include "base/secret.h"
#include "crypto_util.h"
#include "ike/keymat.h"
#include "test_ike_keys.h"

static struct keymat_suite suite_for(const char *keywords)
{
	static struct proposals list;
	struct keymat_suite s;
	char why[256];

	ck_assert_msg(proposals_parse(IKE_PROTO_IKE, keywords, true, &list, why, sizeof(why)) == 0,
		      "%s: %s", keywords, why);
	ck_assert_msg(keymat_suite(&list.p[0], &s, why, sizeof(why)) == 0, "%s: %s", keywords, why);
	return s;
}

/* All keys, in the RFC's order, and nothing between them. */
static struct span all_keys(const struct ike_keys *k)
{
	const struct span *v[] = { &k->d, &k->ai, &k->ar, &k->ei, &k->er, &k->pi, &k->pr };
	const uint8_t *at = k->block;

	for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert_ptr_eq(v[i]->p, at);
		at += v[i]->len;
	}
	ck_assert_uint_eq((size_t)(at - k->block), k->len);
	return span_of(k->block, k->len);
}

/* encr | integ of the first direction, then of the other */
static struct span all_child(const struct child_keys *c, uint8_t out[512])
{
	struct wr w = wr_of(out, 512);

	for (unsigned i = 0; i < 2; i++) {
		wr_bytes(&w, c->encr[i].p, c->encr[i].len);
		wr_bytes(&w, c->integ[i].p, c->integ[i].len);
	}
	return wr_view(&w);
}

/* libreswan's copy of the ACVP sample: SHA-1, 1056 bits of keys each time. */
START_TEST(test_acvp_case)
{
	static const char *const dkm =
	    "a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002a2a63080e514a062768b"
	    "76606f9fa5e992204fc5a670bde3f10d6b027113936a5c55b648a194ae587b0088d52204b702c979fa28"
	    "0870d2ed41efa9c549fd11198af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a8115"
	    "7435a7a56cc4";
	static const char *const dkm_child =
	    "8059e3ee8810e6c3a91bc8bcd2a7a41151b8d0e6ae239c7b38093ad85ef4c5811a8e7b5d1cdabd9560b2"
	    "d5e092d1f24e2d4b85eccdf0ad0dc9abd94b51ee71814ca6dbc8bb51b6309f5b9545c7eb35cf5580b1e5"
	    "21a8fe20754a2d883ba0c2cf285f524aea6545b33106bc03e614296d319d41d4b50b3f510b1c0a22f3e6"
	    "64994d234cb4";
	static const char *const dkm_pfs =
	    "bb43244c1860ad65ee1e211ffe8bb3661750c8f89cb9f547df7f4fa61d37301628190e38c66232eab4b3"
	    "ab14c400a5197dd3730ed4820a8a10394d51e1c0400052f63ebd36b0e7ef53aaed31eba4a5080d7d4b56"
	    "66023a8bbb5ffb7857240f9a05884d1b7d2f933708450b7b3288f1fc863ab49fa901227cffc06e27899c"
	    "7054d56fd74c";
	uint8_t gir[32], fresh[32], ni[8], nr[8], spi_i[8], spi_r[8], want[132], got[512];
	/* 132 bytes: SK_d, SK_pi and SK_pr of 20, SK_a of 20 each, SK_e of 16 each */
	struct keymat_suite s = suite_for("aes128-sha1-prfsha1-modp2048");
	struct ike_keys k;
	struct child_keys c;

	unhex("4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52", gir, 32);
	unhex("863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330", fresh, 32);
	unhex("32b50d5f4a3763f3", ni, 8);
	unhex("9206a04b26564cb1", nr, 8);
	unhex("34c9e7c188868785", spi_i, 8);
	unhex("3ff77d760d2b2199", spi_r, 8);
	struct span i = span_of(ni, 8), r = span_of(nr, 8), none = span_of(NULL, 0);
	ck_assert_int_eq(keymat_ike(&s, i, r, span_of(gir, 32), spi_i, spi_r, &k), 0);
	check_bytes("DKM", all_keys(&k), span_of(want, unhex(dkm, want, sizeof(want))));
	ck_assert_int_eq(keymat_child(s.prf, k.d, none, i, r, &s.sk, &c), 0);
	unhex(dkm_child, want, sizeof(want));
	check_bytes("DKM(Child SA)", all_child(&c, got), span_of(want, 72));
	child_keys_free(&c);
	ck_assert_int_eq(keymat_child(s.prf, k.d, span_of(fresh, 32), i, r, &s.sk, &c), 0);
	unhex(dkm_pfs, want, sizeof(want));
	check_bytes("DKM(Child SA D-H)", all_child(&c, got), span_of(want, 72));
	child_keys_free(&c);
	keymat_free(&k);
	ck_assert_ptr_null(k.block);
}
END_TEST

static const struct {
	const char *keywords, *ike, *rekeyed, *child, *child_pfs;
} vecs[] = {
	/* clang-format off */
	{ "aes256gcm16-prfsha384-ecp384",
	  "3c575b2608aa92bf58361ca5fafe76d13d76d266040c9532e5172490034753ed73740a21"
	  "fdffb7c6a8f5ec48cdd8fd2c9cb00abdabeff499132946e6b75abb6857d50239d03d90d1"
	  "d6636a2a43533fedb044f486b7ce14bf1678c75ecb3d73e6a98e7c4e2a054ced5c204430"
	  "4bb9d66c8efe8111533ed50f42619d8f7194e6d6a6c0fd203e74ff30a9eddbb9bc697250"
	  "6862a2f6e698e191485f232075adacf13b83ec0cdf977a95a87680804e158d8b3aca8bed"
	  "4b6aa5fd818452299644fbb832903b53106ecb98c1bd3e5fee68939802e3559a4bde8f33",
	  "c5a62bc1f251f401c95b7ae5e788555f72fa816a3aaae287ee40c36ed2c77316623147fb"
	  "40a82728065c0e8188ceb8a82fe4a77cb7d8f2970d64b735508c4dd63b0dae688d41507d"
	  "44ad011a1f7215c3c67197544a214c159edddaa93d519ca758f6f9edaddc94a977dfb46c"
	  "a189f0922a752f00f8d07687d9a73cc23ebddb3cc90f9a3797d2a72f00f70dc5102b7b66"
	  "4f475c4c5cd1a565993ac3acb72daa3b30fc6a41af14ea46edf3c21a01b01c346eb55d59"
	  "9e3428edc559cf7b7536519a84e06dce1b705bed1d8129b230105e6729891d35f85613e7",
	  "a868cd8fe349ba0671771b7ea9569a6e24e01fb2e0c9f5016b3dfa4e6410774c744f1a8f"
	  "71227f060ab6b6f416fc6857100dc6ea8ebaf48d9538e5a334c22ea7a54221bae5ed482d",
	  "c935d61797c9f558b675dccb58161dad76097ad1e87a63957907c7e464fa1285b4262871"
	  "03f28241cbefaff024e7cd13f3334650377c1252385c713f8786f4bad5970d421d4e7432" },
	{ "aes128-sha256-prfsha256-curve25519",
	  "7bb8bd5e41ae4a883b83bb17123560b74ff1282cac76470d96ef9739e42d722ed35cbc19"
	  "90ad8838ea09cd7dccce08f8f77fb86445fb004cf2ce46ab931fbdc6c6ca5e114baa57f6"
	  "b4a0173ab3c0e2d502af4a6737e4a72d5ae086a7b6329815b615363dd7e94d29a0c662b5"
	  "586f088ac47a6e602d1574fad739da095046a0abb0ab5fd1f35aee98e561a03e5c058d5c"
	  "c4b6392c7da24ed1faeac644fd2aefe76e7827e5524422e1b1544756686fb9e96ab911f1"
	  "222e7803a36b1d9dd2bf39f1",
	  "63db899d93db9d04369e7264a6e77e054f204b506f5354d952d0b316c891e5231fa54e5c"
	  "db01338614fe4acd3cc84330bafe12c614473d81478ecc53239973351a8d97432bec546d"
	  "902263c090b5725b9afcb6e50db9bf1d20a08b29fe5e587b32e484095b79191f68c8f15d"
	  "8a0bb76be1b58cd7f9f347a03c854979e23bb937dfe6e7f0802ef899ceda8dd713ce71fb"
	  "02fd3e5b76a23ab127122fc6e875c4bbf131dfd300b5811b393af0d183faa8230b22c66a"
	  "8b5994ce722d55100d291221",
	  "7862949e7ed00b914d1f939e09aaad3d8819467758a681ab1222023ffd6069d0401ea000"
	  "7359b5a5fef14d6f3566c4fc1478eb77048cf666ae627cbf806c9aeb30f080f0ca7fe90c"
	  "79c9247317371d0856ed719f5dbdb4e8ed7635cb37687bea",
	  "370f24c87c38d694f50374f1a803cbd566ce06cf5bc5fdfd4b099269ba240914df9e82a7"
	  "d558f420804666fdab505ad8549d0cac59cad031412c6d1cbcb547d3c3692b425da8dc87"
	  "b37ce346fda8c4a3d78fa01890d60cf0c735e4f0c1ef7ed8" },
	{ "aes192-sha1-prfsha1-modp2048",
	  "f900cc06b3049f05feaf8f87584aaad1b0ef6e3e5e3243117d50e3ba0f346d0d6d5965a1"
	  "09ce05b7a100aeaa2fe5bde0e21fb16c6c8b527e899a73ba67791d3582d157cdafc3fd21"
	  "1b1b107cdabbdfdde7446c06e1bc772545990bb6eff26dc6cc647eaa4d97f727558a2643"
	  "1dffa54369e4c9aa186eb2fa6b940df43a253aae41ce96e67f00799694045068d49fbb6c"
	  "113f54ac",
	  "c198ec913d7a6d1dafca5305cccb2b5b9b704fd0758623a53b229d7ce1e8664aba0f62bd"
	  "31e6739a31614dc460fe8d8ee8a6cdc06d56102fd6b06dc60197cb5e9ac1ca259877fa42"
	  "25e9aea06c9ae10b97dd33bbd64b169b6c3a40f47e0ec29db6effa85e5f01bfdaae178d5"
	  "cd544bd913f0928361b7d31c0f526ad4fb104ea0fa420becf4580abb6e234e329a306572"
	  "1141e6f8",
	  "63c761de7e3010293c660746206cfcaa4106e5ac63149e028c5e45b1dad44078ec10c0e6"
	  "ace3ee44bc98fb970169d163d3b9b90cc10df3c1ebc261e46d7df1811d414cb8d65ac92e"
	  "a632650a327288faa14c0f00f2c73629",
	  "1bfe17f25489359766e136d642e797ba6fbb64491ce384ac2003603b53274c7b994c49cc"
	  "5e9b90bae072b8789b46c3c5da5f590cfd5ebb58bd0ed211d2e9376da1b074ae3e433d9a"
	  "319e2376eb8b4c52c13ebb864e2b98d4" },
	{ "chacha20poly1305-prfsha512-x25519",
	  "7bc1aeb5d2df9e1a0bffe5019bee681f4cba8b3401889a9a561a912c389bf43d2f5dede0"
	  "ac1cf65f448f4db4222bf0a57d37949d26b7b33e8c8a67d60dcb1e5c53c9931d2d5485ca"
	  "4fce3c1f54496b257bb7d6ea2cd58a21a2566e611aee2693a0f7252aa0dd66eab6d12634"
	  "38b05db4b66632479b157a26e3b2c276ff7446319147795ff334965f546c49f99855f942"
	  "299beb6728ed5609cfc92f73fa49b3ed962645c5bb598c644e1ac54cfa16ef124d0f6e11"
	  "5eaba9b5da51f35f5c30482efe4d5048841a0135db221d0c8d6a9a7782f7e2e75bc6a7ff"
	  "d905d8355e3cf4bf779c975de8c78a6320621e612459aadca833192f302abc594c2911ad"
	  "1bd0fbdac67274c598449aad",
	  "9419a665fcb6e0621126f3d949254a26045c7a0998e885954180dfc8b51c131a3f55efa7"
	  "81d4751d285735ff7e998108a5c2cf96dd8aac9fde29b4ea8facae447a1ffc940c5cebbd"
	  "c4b0ade1de5518c4fb0f478dc59c281ef093ba43cb4212e8eb076a445310b74de0019881"
	  "6a120ae35ce143bbd269e6e3612aeb8490665a36cb66ef5fdd020965bead88c5cbff736a"
	  "e20e8dbf9832afe6b5146162d0a8a499d896dba1bd5eaadb647320d1d37d31a5cb743cb9"
	  "3cb3072322fb958fb87c00b785641f75d0c9859a2549d9b9ab8895aee7e39b0026507044"
	  "65cf52cbc9a9c630d3086ca6f063830c1f8abb489540b5575c76016efc67c4c35fd2e5c3"
	  "6c79433697105776f687bf72",
	  "cef971cede3dfad1502b3a9df6901cefa5e5af87f60bab59961ab408eddc8201971dec2f"
	  "5ee66761ea625372217a9c90149e03607eed8b77174af2ab0283cef3c7a42497e893e935",
	  "6ff2045374ac5d44908ffba7728353c9fac071a2aa7336309783d3f938ee62e399ad6be3"
	  "edbc10259313781b69418eaf53b93066886a2c9be85b1c6c9c5a9cb03b8eacf4e716f162" },
	{ "aes128ctr-aesxcbc-prfaesxcbc-modp2048",
	  "80ab5d52c6648e2c743391681e1c8d8395be13a58f826d5171223898efc714bdfa1976df"
	  "d7bf57bd317cfcca7dca19c8011f422539fe9d964ba17fd59e8f23514ec72c1aeb6e6cc4"
	  "ac60715fb8dfff9ed24776e7d7a9820025f105bb7481eb3f093a485545327bf0c8947428"
	  "05c8440b4dcdac0d34945f35",
	  "ea863f2941ee30df0f3716ad30e57ef11c76993ac4382ec1c06c0eade01e4bb8fb22c02d"
	  "f6ec3cc8c02072cfe322c866664c9d80478bfc0933f00ee84c4620bc46b0aed982afd5e0"
	  "dec6630458d8d303e159b8067cbf3f8a23a25f9486821ea3bc9a2b77b04ba9d8da459532"
	  "44074360b7a243c5df55224e",
	  "a90b3f6c79e7b6df0f4748ae886417b3854b9938e4b2be1e55d2fcb6a5ef01d48d58f7c0"
	  "320da2c66f427918fc88ea6e8f2aa5e74fccfaa3acc9961e0d45337a70cff5b2518d9c5e",
	  "e7e18dfb0a550cfc061b9d16570e6466d950034f33456e14a6332cfb9a9af1ccd3d6b73c"
	  "4cd85715d663151123837264a3c59bde35a2fb4b03e66390a72b00eed057f3425447e8c9" },
	{ "aes256ccm8-prfaescmac-ecp256",
	  "d146c1f7f03f96c43802169d984886e9393f73e5af539f6685aa4da59ca2bc9c0fb0fdf5"
	  "a90c316cf345302e861c78eabd73c4bca6a8a02d8a426960ea73e75c4f38bfa994bf5a8a"
	  "1feca1b14a1dcae967597914df82498045bc56a5ea5d2bc6d275123a565015d9a6cb9c0f"
	  "110bd163ba75f8595dcb",
	  "24ce3c187a1f98128e61cb480c063383ba49e3a06c36c2a45d1104f1fa8e9ffe8f6c54a6"
	  "844522458c2851966eb80de9609e60a7589202e64eb2645e2d1782d907e6cb5f60abcb7f"
	  "3b6b5a5bd417d1c0747c8aecec68d6dae3c4c82f082de5f3084b9df55b097ed4d4b6628f"
	  "f41dbe2e656d01aa9e89",
	  "96e131ca283cd7277b051fb81ebed3851d75f0b33531ea9a992115e93222b1434c44a08e"
	  "4fe4a155328b0ae53b2ee44f8c7e4690003a129a66d406db631842b705597bb83c72",
	  "37b5e86a3574b1ac837020a291215b50bb4b2c9921eff1de978d54f14d6d3dcc5f04afdb"
	  "218441bb2230b2867a834b8363e0d458a278fe776ec55d32b1a510f577396a41b64b" },
	/* clang-format on */
};

static void fill(uint8_t *p, unsigned n, unsigned mul, unsigned add)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(mul * i + add);
}

START_TEST(test_formulas)
{
	uint8_t ni[32], nr[21], spi_i[8], spi_r[8], g[32], g2[66], old_d[20], want[512], got[512];
	struct keymat_suite s = suite_for(vecs[_i].keywords);
	size_t before = secret_in_use();
	struct ike_keys k;
	struct child_keys c;

	fill(ni, 32, 1, 1);
	fill(nr, 21, 1, 0x80);
	fill(spi_i, 8, 1, 0x11);
	fill(spi_r, 8, 1, 0x21);
	fill(g, 32, 7, 3);
	fill(g2, 66, 11, 5);
	fill(old_d, 20, 13, 0);
	struct span i = span_of(ni, 32), r = span_of(nr, 21), none = span_of(NULL, 0);
	ck_assert_int_eq(keymat_ike_rekey(&s, prf_info(PRF_HMAC_SHA1), span_of(old_d, 20), i, r,
					  span_of(g2, 66), spi_i, spi_r, &k),
			 0);
	check_bytes("rekeyed", all_keys(&k),
		    span_of(want, unhex(vecs[_i].rekeyed, want, sizeof(want))));
	keymat_free(&k);
	ck_assert_int_eq(keymat_ike(&s, i, r, span_of(g, 32), spi_i, spi_r, &k), 0);
	check_bytes("ike", all_keys(&k), span_of(want, unhex(vecs[_i].ike, want, sizeof(want))));
	ck_assert_int_eq(keymat_child(s.prf, k.d, none, i, r, &s.sk, &c), 0);
	check_bytes("child", all_child(&c, got),
		    span_of(want, unhex(vecs[_i].child, want, sizeof(want))));
	child_keys_free(&c);
	ck_assert_int_eq(keymat_child(s.prf, k.d, span_of(g2, 66), i, r, &s.sk, &c), 0);
	check_bytes("child, PFS", all_child(&c, got),
		    span_of(want, unhex(vecs[_i].child_pfs, want, sizeof(want))));
	child_keys_free(&c);
	ck_assert_ptr_null(c.encr[1].p);
	keymat_free(&k);
	ck_assert_uint_eq(secret_in_use(), before);
}
END_TEST

/* What one side seals the other opens, and nobody else: not itself, not by the other's key. */
START_TEST(test_sk_directions)
{
	uint8_t nonce[32] = { 1 }, spi[8] = { 2 }, msg[256] = "header";
	struct keymat_suite s = suite_for(vecs[_i].keywords);
	struct sk_key *seal[2], *open[2];
	struct span n = span_of(nonce, 32), text;
	struct ike_keys k;
	size_t len;

	ck_assert_int_eq(keymat_ike(&s, n, n, n, spi, spi, &k), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(keymat_sk(&s, &k, i == 0, &seal[i], &open[i]), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(sk_seal(seal[i], msg, sizeof(msg), 32, span_of("text", 4), &len),
				 0);
		uint8_t copy[256];
		memcpy(copy, msg, sizeof(copy));
		ck_assert_int_eq(sk_open(open[i], copy, len, 32, &text), -EBADMSG);
		ck_assert_int_eq(sk_open(open[!i], msg, len, 32, &text), 0);
		check_bytes("text", text, span_of("text", 4));
	}
	for (int i = 0; i < 2; i++) {
		sk_key_free(&seal[i]);
		sk_key_free(&open[i]);
	}
	keymat_free(&k);
}
END_TEST

START_TEST(test_suite_refused)
{
	static const struct {
		struct proposal p;
		const char *says;
	} bad[] = {
		{ { .n = 0 }, "no encryption" },
		{ { .n = 1, .alg = { { IKE_T_ENCR, ENCR_AES_CBC, 128 } } }, "no pseudo-random" },
		{ { .n = 2, .alg = { { IKE_T_ENCR, ENCR_AES_CBC, 128 }, { IKE_T_PRF, 5, 0 } } },
		  "no key exchange" },
		{ { .n = 3,
		    .alg = { { IKE_T_ENCR, ENCR_AES_CBC, 128 },
			     { IKE_T_PRF, 5, 0 },
			     { IKE_T_KE, 22, 0 } } },
		  "group 22" },
		{ { .n = 3,
		    .alg = { { IKE_T_ENCR, ENCR_AES_CBC, 128 },
			     { IKE_T_PRF, 5, 0 },
			     { IKE_T_KE, 14, 0 } } },
		  "integrity" },
		{ { .n = 4,
		    .alg = { { IKE_T_ENCR, ENCR_NULL, 0 },
			     { IKE_T_INTEG, INTEG_HMAC_SHA1_96, 0 },
			     { IKE_T_PRF, 5, 0 },
			     { IKE_T_KE, 14, 0 } } },
		  "not for IKE" },
	};
	struct keymat_suite s;
	char why[256] = "";

	ck_assert_int_eq(keymat_suite(&bad[_i].p, &s, why, sizeof(why)), -ENOTSUP);
	ck_assert_msg(strstr(why, bad[_i].says) != NULL, "%s", why);
}
END_TEST

/* AH has integrity keys only. */
START_TEST(test_ah_child)
{
	const struct integ_info *integ = integ_info(INTEG_HMAC_SHA2_256_128);
	struct esp_suite ah = { .integ = integ };
	uint8_t d[32] = { 1 }, nonce[16] = { 2 }, want[64];
	struct span v[] = { span_of(nonce, 16), span_of(nonce, 16) };
	struct child_keys c;

	ck_assert_int_eq(keymat_child(prf_info(PRF_HMAC_SHA2_256), span_of(d, 32), span_of(NULL, 0),
				      v[0], v[1], &ah, &c),
			 0);
	ck_assert_int_eq(prf_plus_into(prf_info(PRF_HMAC_SHA2_256), span_of(d, 32), v, 2, want, 64),
			 0);
	ck_assert_ptr_null(c.encr[0].p);
	check_bytes("first", secret_view(&c.integ[0]), span_of(want, 32));
	check_bytes("other", secret_view(&c.integ[1]), span_of(want + 32, 32));
	child_keys_free(&c);
}
END_TEST

TCase *ike_keymat_case(void)
{
	TCase *t = tcase_create("keymat");

	tcase_add_test(t, test_acvp_case);
	tcase_add_loop_test(t, test_formulas, 0, ARRAY_LEN(vecs));
	tcase_add_loop_test(t, test_sk_directions, 0, ARRAY_LEN(vecs));
	tcase_add_loop_test(t, test_suite_refused, 0, 6);
	tcase_add_test(t, test_ah_child);
	return t;
}
