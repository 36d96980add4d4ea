/* The receiving side's checks of ESP, before and after the cipher. */
#include "ipsec/esp.h"

enum drop esp_open_op(const struct sa *sa, uint8_t *esp, uint32_t len, uint64_t *seq,
		      struct crypt_op *op)
{
	uint32_t fixed = ESP_HDR_LEN + sa->iv_len + sa->icv_len;

	if (len < fixed + ESP_TRAILER_LEN)
		return DROP_SHORT;
	uint32_t text = len - fixed;
	if (text & (uint32_t)(sa->align - 1))
		return DROP_ESP_FORMAT;
	*seq = replay_full_seq(&sa->replay, load_be32(esp + 4), sa->esn);
	if (!replay_may_accept(&sa->replay, *seq))
		return DROP_REPLAY;
	op->key = &sa->key;
	op->esp = esp;
	op->src = op->dst = esp + esp_text_off(sa);
	op->len = text;
	op->seq_hi = (uint32_t)(*seq >> 32);
	op->ok = false;
	return DROP_NONE;
}

enum drop esp_open_text(const uint8_t *text, uint32_t len, struct esp_text *out)
{
	uint32_t pad = text[len - 2];

	if (pad + ESP_TRAILER_LEN > len)
		return DROP_ESP_PADDING;
	out->len = len - ESP_TRAILER_LEN - pad;
	out->next_header = text[len - 1];
	/* RFC 4303 2.4: a receiver inspects the default padding, which is 1, 2, 3, ... */
	uint8_t diff = 0;
	for (uint32_t i = 0; i < pad; i++)
		diff |= text[out->len + i] ^ (uint8_t)(i + 1);
	return diff ? DROP_ESP_PADDING : DROP_NONE;
}
