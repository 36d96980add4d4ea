/*
 * The vectors printed in RFC 3602, 3686, 3566, 4494, 2202 and 4231, and test cases 2, 4, 10 and 16
 * of appendix B of the GCM specification, to which RFC 4106 and 4543 refer. (RFC 4309 refers to RFC
 * 3610, whose 13-byte nonces ESP cannot express; CCM is covered by the JSON vectors and the
 * cross-check.) Included by test_crypto_rfc.c only.
 */
#ifndef TEST_CRYPTO_VECTORS_H
#define TEST_CRYPTO_VECTORS_H

#include <stddef.h>

/* For crypt_raw; all hex. A key of separate integrity is all zero where icv is empty. covered NULL:
 * 1000 zero bytes. */
struct raw_vector {
	const char *name, *suite, *key, *nonce, *covered, *text, *cipher, *icv;
};

/* HMAC with keys and digests of any length. */
struct mac_vector {
	const char *name, *suite, *key, *data, *digest;
};

/* ESP packets without ICV: header and IV as on the wire. */
struct cbc_packet {
	const char *name, *key, *header, *iv, *text, *cipher;
};

static const struct raw_vector raw_vectors[] = {
	{ "RFC 3602 4, case 1", "aes128-sha256", .key = "06a9214036b8a15b512e03d534120006",
	  .nonce = "3dafba429d9eb430b422da802c9fac41", .covered = "",
	  .text = "53696e676c6520626c6f636b206d7367", .cipher = "e353779c1079aeb82708942dbe77181a",
	  .icv = "" },
	{ "RFC 3602 4, case 2", "aes128-sha256", .key = "c286696d887c9aa0611bbb3e2025a45a",
	  .nonce = "562e17996d093d28ddb3ba695a2e6f58", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  .cipher = "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1", .icv = "" },
	{ "RFC 3602 4, case 3", "aes128-sha256", .key = "6c3ea0477630ce21a2ce334aa746c2cd",
	  .nonce = "c782dc4c098c66cbd9cd27d825682c81", .covered = "",
	  .text = "5468697320697320612034382d62797465206d6573736167"
		  "65202865786163746c7920332041455320626c6f636b7329",
	  .cipher = "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7"
		    "506939276772f8d5021c19216bad525c8579695d83ba2684",
	  .icv = "" },
	{ "RFC 3602 4, case 4", "aes128-sha256", .key = "56e47a38c5598974bc46903dba290349",
	  .nonce = "8ce82eefbea0da3c44699ed7db51b7d9", .covered = "",
	  .text = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7"
		  "b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
		  "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
	  .cipher = "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c6"
		    "84db207eb0ef8e4e35907aa632c3ffdf868bb7b29d3d46ad"
		    "83ce9f9a102ee99d49a53e87f4c3da55",
	  .icv = "" },
	{ "RFC 3686 6, vector 1", "aes128ctr-sha256", .key = "ae6852f8121067cc4bf7a5765577f39e",
	  .nonce = "00000030000000000000000000000001", .covered = "",
	  .text = "53696e676c6520626c6f636b206d7367", .cipher = "e4095d4fb7a7b3792d6175a3261311b8",
	  .icv = "" },
	{ "RFC 3686 6, vector 2", "aes128ctr-sha256", .key = "7e24067817fae0d743d6ce1f32539163",
	  .nonce = "006cb6dbc0543b59da48d90b00000001", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  .cipher = "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28", .icv = "" },
	{ "RFC 3686 6, vector 3", "aes128ctr-sha256", .key = "7691be035e5020a8ac6e618529f9a0dc",
	  .nonce = "00e0017b27777f3f4a1786f000000001", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
	  .cipher = "c1cf48a89f2ffdd9cf4652e9efdb72d74540"
		    "a42bde6d7836d59a5ceaaef3105325b2072f",
	  .icv = "" },
	{ "RFC 3686 6, vector 4", "aes192ctr-sha256",
	  .key = "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515",
	  .nonce = "0000004836733c147d6d93cb00000001", .covered = "",
	  .text = "53696e676c6520626c6f636b206d7367", .cipher = "4b55384fe259c9c84e7935a003cbe928",
	  .icv = "" },
	{ "RFC 3686 6, vector 5", "aes192ctr-sha256",
	  .key = "7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a",
	  .nonce = "0096b03b020c6eadc2cb500d00000001", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  .cipher = "453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00", .icv = "" },
	{ "RFC 3686 6, vector 6", "aes192ctr-sha256",
	  .key = "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe",
	  .nonce = "0007bdfd5cbd60278dcc091200000001", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
	  .cipher = "96893fc55e5c722f540b7dd1ddf7e758d288"
		    "bc95c69165884536c811662f2188abee0935",
	  .icv = "" },
	{ "RFC 3686 6, vector 7", "aes256ctr-sha256",
	  .key = "776beff2851db06f4c8a0542c8696f6c"
		 "6a81af1eec96b4d37fc1d689e6c1c104",
	  .nonce = "00000060db5672c97aa8f0b200000001", .covered = "",
	  .text = "53696e676c6520626c6f636b206d7367", .cipher = "145ad01dbf824ec7560863dc71e3e0c0",
	  .icv = "" },
	{ "RFC 3686 6, vector 8", "aes256ctr-sha256",
	  .key = "f6d66d6bd52d59bb0796365879eff886"
		 "c66dd51a5b6a99744b50590c87a23884",
	  .nonce = "00faac24c1585ef15a43d87500000001", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  .cipher = "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c", .icv = "" },
	{ "RFC 3686 6, vector 9", "aes256ctr-sha256",
	  .key = "ff7a617ce69148e4f1726e2f43581de2"
		 "aa62d9f805532edff1eed687fb54153d",
	  .nonce = "001cc5b751a51d70a1c1114800000001", .covered = "",
	  .text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
	  .cipher = "eb6c52821d0bbbf7ce7594462aca4faab407"
		    "df866569fd07f48cc0b583d6071f1ec0e6b8",
	  .icv = "" },
	{ "RFC 3566 4.6, case 1", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "", .covered = "", .text = "", .cipher = "", .icv = "75f0251d528ac01c4573dfd5" },
	{ "RFC 3566 4.6, case 2", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "", .covered = "000102", .text = "", .cipher = "",
	  .icv = "5b376580ae2f19afe7219cee" },
	{ "RFC 3566 4.6, case 3", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "", .covered = "000102030405060708090a0b0c0d0e0f", .text = "", .cipher = "",
	  .icv = "d2a246fa349b68a79998a439" },
	{ "RFC 3566 4.6, case 4", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "", .covered = "000102030405060708090a0b0c0d0e0f10111213", .text = "",
	  .cipher = "", .icv = "47f51b4564966215b8985c63" },
	{ "RFC 3566 4.6, case 5", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "",
	  .covered = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", .text = "",
	  .cipher = "", .icv = "f54f0ec8d2b9f3d36807734b" },
	{ "RFC 3566 4.6, case 6", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "",
	  .covered = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021",
	  .text = "", .cipher = "", .icv = "becbb3bccdb518a30677d548" },
	{ "RFC 3566 4.6, case 7", "null-aesxcbc", .key = "000102030405060708090a0b0c0d0e0f",
	  .nonce = "", .covered = NULL, .text = "", .cipher = "",
	  .icv = "f0dafee895db30253761103b" },
	{ "RFC 4494 5, case 1", "null-aescmac", .key = "2b7e151628aed2a6abf7158809cf4f3c",
	  .nonce = "", .covered = "", .text = "", .cipher = "", .icv = "bb1d6929e95937287fa37d12" },
	{ "RFC 4494 5, case 2", "null-aescmac", .key = "2b7e151628aed2a6abf7158809cf4f3c",
	  .nonce = "", .covered = "6bc1bee22e409f96e93d7e117393172a", .text = "", .cipher = "",
	  .icv = "070a16b46b4d4144f79bdd9d" },
	{ "RFC 4494 5, case 3", "null-aescmac", .key = "2b7e151628aed2a6abf7158809cf4f3c",
	  .nonce = "",
	  .covered = "6bc1bee22e409f96e93d7e117393172aae2d8a57"
		     "1e03ac9c9eb76fac45af8e5130c81c46a35ce411",
	  .text = "", .cipher = "", .icv = "dfa66747de9ae63030ca3261" },
	{ "RFC 4494 5, case 4", "null-aescmac", .key = "2b7e151628aed2a6abf7158809cf4f3c",
	  .nonce = "",
	  .covered = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c"
		     "9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
		     "f69f2445df4f9b17ad2b417be66c3710",
	  .text = "", .cipher = "", .icv = "51f0bebf7e3b9d92fc497417" },
	{ "GCM specification B, case 2", "aes128gcm16", .key = "00000000000000000000000000000000",
	  .nonce = "000000000000000000000000", .covered = "",
	  .text = "00000000000000000000000000000000", .cipher = "0388dace60b6a392f328c2b971b2fe78",
	  .icv = "ab6e47d42cec13bdf53a67b21257bddf" },
	{ "GCM specification B, case 4", "aes128gcm16", .key = "feffe9928665731c6d6a8f9467308308",
	  .nonce = "cafebabefacedbaddecaf888",
	  .covered = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  .text = "d9313225f88406e5a55909c5aff5269a86a7a9531534"
		  "f7da2e4c303d8a318a721c3c0c95956809532fcf0e24"
		  "49a6b525b16aedf5aa0de657ba637b39",
	  .cipher = "42831ec2217774244b7221b784d0d49ce3aa212f2c02"
		    "a4e035c17e2329aca12e21d514b25466931c7d8f6a5a"
		    "ac84aa051ba30b396a0aac973d58e091",
	  .icv = "5bc94fbc3221a5db94fae95ae7121a47" },
	{ "GCM specification B, case 10", "aes192gcm16",
	  .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c",
	  .nonce = "cafebabefacedbaddecaf888",
	  .covered = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  .text = "d9313225f88406e5a55909c5aff5269a86a7a9531534"
		  "f7da2e4c303d8a318a721c3c0c95956809532fcf0e24"
		  "49a6b525b16aedf5aa0de657ba637b39",
	  .cipher = "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6ef"
		    "d984628593b40ca1e19c7d773d00c144c525ac619d18"
		    "c84a3f4718e2448b2fe324d9ccda2710",
	  .icv = "2519498e80f1478f37ba55bd6d27618c" },
	{ "GCM specification B, case 16", "aes256gcm16",
	  .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  .nonce = "cafebabefacedbaddecaf888",
	  .covered = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  .text = "d9313225f88406e5a55909c5aff5269a86a7a9531534"
		  "f7da2e4c303d8a318a721c3c0c95956809532fcf0e24"
		  "49a6b525b16aedf5aa0de657ba637b39",
	  .cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5"
		    "c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
		    "56828838c5f61e6393ba7a0abcc9f662",
	  .icv = "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ "RFC 7634 B", "chacha20poly1305",
	  .key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  .nonce = "a0a1a2a31011121314151617",
	  .covered = "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
	  .text = "0000000c000040010000000a00", .cipher = "610394701f8d017f7c12924889",
	  .icv = "6b71bfe25236efd7cdc67066906315b2" },
};

static const struct mac_vector mac_vectors[] = {
	{ "RFC 2202 2, case 1", "null-md5", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
	  "9294727a3638bb1c13f48ef8158bfc9d" },
	{ "RFC 2202 2, case 2", "null-md5", "4a656665",
	  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "750c783e6ab0b503eaa86e310a5db738" },
	{ "RFC 2202 2, case 3", "null-md5", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddd",
	  "56be34521d144c88dbb8c733f0e8b3f6" },
	{ "RFC 2202 2, case 4", "null-md5", "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcd",
	  "697eaf0aca3a3aea3a75164746ffaa79" },
	{ "RFC 2202 2, case 5", "null-md5", "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
	  "546573742057697468205472756e636174696f6e", "56461ef2342edc00f9bab995690efd4c" },
	{ "RFC 2202 2, case 6", "null-md5",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b6579202d2048617368204b6579"
	  "204669727374",
	  "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd" },
	{ "RFC 2202 2, case 7", "null-md5",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b657920616e64204c6172676572"
	  "205468616e204f6e6520426c6f636b2d53697a652044617461",
	  "6f630fad67cda0ee1fb1f562db3aa53e" },
	{ "RFC 2202 3, case 1", "null-sha1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	  "4869205468657265", "b617318655057264e28bc0b6fb378c8ef146be00" },
	{ "RFC 2202 3, case 2", "null-sha1", "4a656665",
	  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ "RFC 2202 3, case 3", "null-sha1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddd",
	  "125d7342b9ac11cd91a39af48aa17b4f63f175d3" },
	{ "RFC 2202 3, case 4", "null-sha1", "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcd",
	  "4c9007f4026250c6bc8414f9bf50c86c2d7235da" },
	{ "RFC 2202 3, case 5", "null-sha1", "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
	  "546573742057697468205472756e636174696f6e", "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04" },
	{ "RFC 2202 3, case 6", "null-sha1",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b6579202d2048617368204b6579"
	  "204669727374",
	  "aa4ae5e15272d00e95705637ce8a3b55ed402112" },
	{ "RFC 2202 3, case 7", "null-sha1",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b657920616e64204c6172676572"
	  "205468616e204f6e6520426c6f636b2d53697a652044617461",
	  "e8e99d0f45237d786d6bbaa7965c7808bbff1a91" },
	{ "RFC 4231 4.2", "null-sha256", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	  "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "RFC 4231 4.2", "null-sha384", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	  "4869205468657265",
	  "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6"
	  "82aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6" },
	{ "RFC 4231 4.2", "null-sha512", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	  "4869205468657265",
	  "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec278"
	  "7ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4"
	  "be9d914eeb61f1702e696c203a126854" },
	{ "RFC 4231 4.3", "null-sha256", "4a656665",
	  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "RFC 4231 4.3", "null-sha384", "4a656665",
	  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47"
	  "e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649" },
	{ "RFC 4231 4.3", "null-sha512", "4a656665",
	  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd6"
	  "10270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
	  "caeab1a34d4a6b4b636e070a38bce737" },
	{ "RFC 4231 4.4", "null-sha256", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddd",
	  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "RFC 4231 4.4", "null-sha384", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddd",
	  "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9feb"
	  "e83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27" },
	{ "RFC 4231 4.4", "null-sha512", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddd",
	  "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a36"
	  "55f83e33b2279d39bf3e848279a722c806b485a47e67c807"
	  "b946a337bee8942674278859e13292fb" },
	{ "RFC 4231 4.5", "null-sha256", "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcd",
	  "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	{ "RFC 4231 4.5", "null-sha384", "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcd",
	  "3e8a69b7783c25851933ab6290af6ca77a9981480850009c"
	  "c5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb" },
	{ "RFC 4231 4.5", "null-sha512", "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcd",
	  "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872d"
	  "e76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063"
	  "a5f19741120c4f2de2adebeb10a298dd" },
	{ "RFC 4231 4.6", "null-sha256", "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
	  "546573742057697468205472756e636174696f6e", "a3b6167473100ee06e0c796c2955552b" },
	{ "RFC 4231 4.6", "null-sha384", "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
	  "546573742057697468205472756e636174696f6e", "3abf34c3503b2a23a46efc619baef897" },
	{ "RFC 4231 4.6", "null-sha512", "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
	  "546573742057697468205472756e636174696f6e", "415fad6271580a531d4179bc891d87a6" },
	{ "RFC 4231 4.7", "null-sha256",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b6579202d2048617368204b6579"
	  "204669727374",
	  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ "RFC 4231 4.7", "null-sha384",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b6579202d2048617368204b6579"
	  "204669727374",
	  "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f"
	  "3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952" },
	{ "RFC 4231 4.7", "null-sha512",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e2042"
	  "6c6f636b2d53697a65204b6579202d2048617368204b6579"
	  "204669727374",
	  "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1"
	  "121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52"
	  "95e64f73f63f0aec8b915a985d786598" },
	{ "RFC 4231 4.8", "null-sha256",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "5468697320697320612074657374207573696e672061206c"
	  "6172676572207468616e20626c6f636b2d73697a65206b65"
	  "7920616e642061206c6172676572207468616e20626c6f63"
	  "6b2d73697a6520646174612e20546865206b6579206e6565"
	  "647320746f20626520686173686564206265666f72652062"
	  "65696e6720757365642062792074686520484d414320616c"
	  "676f726974686d2e",
	  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
	{ "RFC 4231 4.8", "null-sha384",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "5468697320697320612074657374207573696e672061206c"
	  "6172676572207468616e20626c6f636b2d73697a65206b65"
	  "7920616e642061206c6172676572207468616e20626c6f63"
	  "6b2d73697a6520646174612e20546865206b6579206e6565"
	  "647320746f20626520686173686564206265666f72652062"
	  "65696e6720757365642062792074686520484d414320616c"
	  "676f726974686d2e",
	  "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9a"
	  "dccebb82461e99c5a678cc31e799176d3860e6110c46523e" },
	{ "RFC 4231 4.8", "null-sha512",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "5468697320697320612074657374207573696e672061206c"
	  "6172676572207468616e20626c6f636b2d73697a65206b65"
	  "7920616e642061206c6172676572207468616e20626c6f63"
	  "6b2d73697a6520646174612e20546865206b6579206e6565"
	  "647320746f20626520686173686564206265666f72652062"
	  "65696e6720757365642062792074686520484d414320616c"
	  "676f726974686d2e",
	  "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f886728986"
	  "5df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15"
	  "134676fb6de0446065c97440fa8c6a58" },
};

static const struct cbc_packet cbc_packets[] = {
	{ "RFC 3602 4, case 5", "90d382b410eeba7ad938c46cec1a82bf", "0000432100000001",
	  "e96e8c08ab465763fd098d45dd3ff893",
	  "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f"
	  "101112131415161718191a1b1c1d1e1f2021222324252627"
	  "28292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01",
	  "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965"
	  "330013b4898dc856a4699e523a55db080b59ec3a8e4b7e52"
	  "775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6" },
	{ "RFC 3602 4, case 6", "90d382b410eeba7ad938c46cec1a82bf", "0000432100000008",
	  "69d08df7d203329db093fc4924e5bd80",
	  "0800b5e8a80a0500a69c083d0b660e0077777777777777777777777701020201",
	  "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75" },
	{ "RFC 3602 4, case 7", "0123456789abcdef0123456789abcdef", "0000876500000002",
	  "f4e765244f6407adf13dc1380f673f37",
	  "45000054090400004001f988c0a87b03c0a87bc808009f76"
	  "a90a0100b49c083d02a2040008090a0b0c0d0e0f10111213"
	  "1415161718191a1b1c1d1e1f202122232425262728292a2b"
	  "2c2d2e2f30313233343536370102030405060708090a0a04",
	  "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a9301"
	  "3c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b859243c6"
	  "47752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2"
	  "201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d" },
	{ "RFC 3602 4, case 8", "0123456789abcdef0123456789abcdef", "0000876500000005",
	  "85d47224b5f3dd5d2101d4ea8dffab22",
	  "45000044090c00004001f990c0a87b03c0a87bc80800d63c"
	  "aa0a0200c69c083da3de0300ffffffffffffffffffffffff"
	  "ffffffffffffffffffffffffffffffffffffffff0102030405060708090a0a04",
	  "15b92683819596a8047232cc00f7048fe45318e11f8a0f62"
	  "ede3c3fc61203bb50f980a08c9843fd3a1b06d5c07ff9639"
	  "b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892" },
};

#endif
