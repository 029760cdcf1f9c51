package payment_test

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/payment"
)

// said are calls that were answered so, one a second.
func said(log payment.Log, operation payment.Operation, answers ...string) payment.Log {
	for _, answer := range answers {
		log = log.Add(payment.Call{
			Operation: operation, Answer: answer, HTTPStatus: 200,
			AskedAt: time.Unix(int64(len(log)), 0), RequestID: "req_" + strconv.Itoa(len(log)),
		})
	}
	return log
}

func answers(log payment.Log) (list []string) {
	for _, call := range log {
		list = append(list, string(call.Operation)+" "+call.Answer)
	}
	return list
}

func TestReadsThatKeepSayingTheSameAreTwo(t *testing.T) {
	t.Parallel()
	log := said(nil, payment.OpRead, "processing", "processing")
	first := log[0]
	for i := range 50 {
		log = log.Add(payment.Call{Operation: payment.OpRead, Answer: "processing", HTTPStatus: 200, RequestID: "req_new" + strconv.Itoa(i)})
		require.Len(t, log, 2)
		require.Equal(t, first, log[0], "the first is kept")
		require.Equal(t, "req_new"+strconv.Itoa(i), log[1].RequestID, "and the newest")
	}
	log = said(log, payment.OpRead, "succeeded", "succeeded", "processing")
	require.Equal(t, []string{"read processing", "read processing", "read succeeded", "read succeeded", "read processing"}, answers(log))

	for name, other := range map[string]payment.Call{
		"another answer": {Operation: payment.OpRead, Answer: "no_answer", HTTPStatus: 200},
		"another status": {Operation: payment.OpRead, Answer: "processing", HTTPStatus: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := said(nil, payment.OpRead, "processing", "processing").Add(other)
			require.Len(t, log, 3)
			require.Len(t, log.Add(other), 4)
			require.Len(t, said(log, payment.OpRead, "processing", "processing", "processing"), 5)
		})
	}
}

func TestWhatMovesMoneyIsShownEachTime(t *testing.T) {
	t.Parallel()
	for _, operation := range payment.Operations() {
		if operation != payment.OpRead {
			require.Len(t, said(nil, operation, "x", "x", "x", "x"), 4, operation)
		}
	}
	mixed := said(said(said(nil, payment.OpRead, "x"), payment.OpConfirm, "x"), payment.OpRead, "x", "x", "x")
	require.Equal(t, []string{"read x", "confirm x", "read x", "read x"}, answers(mixed))
}

func TestAReceiptIsBounded(t *testing.T) {
	t.Parallel()
	require.Equal(t, 100, payment.MaxLog, "as the API's documentation says")
	var log payment.Log
	for i := range 250 {
		log = log.Add(payment.Call{Operation: payment.OpConfirm, RequestID: strconv.Itoa(i)})
		require.LessOrEqual(t, len(log), payment.MaxLog)
		require.Equal(t, strconv.Itoa(i), log[len(log)-1].RequestID)
		require.Equal(t, strconv.Itoa(max(0, i-payment.MaxLog+1)), log[0].RequestID, "the oldest goes")
	}
}

func TestAFullReceiptKeepsWhichKeysAreSpent(t *testing.T) {
	t.Parallel()
	p := payment.New("alice", uuid.New(), charge(nil), time.Now())
	log := payment.Log{{Operation: payment.OpCreate}, {Operation: payment.OpConfirm, Spent: true}}
	for range 250 {
		log = log.Add(payment.Call{Operation: payment.OpConfirm})
	}
	require.Len(t, log, payment.MaxLog)
	p.GatewayLog = log
	require.Equal(t, "millrace:"+p.ID.String()+":confirm:2", p.IdempotencyKey(payment.OpConfirm))
}

func TestAddLeavesTheReceiptThatItWasGiven(t *testing.T) {
	t.Parallel()
	log := slices.Grow(said(nil, payment.OpRead, "x", "x"), 10)
	one, other := said(log, payment.OpRead, "x"), said(log, payment.OpConfirm, "y")
	require.Equal(t, []string{"read x", "read x"}, answers(log))
	require.Equal(t, "req_1", log[1].RequestID)
	require.Equal(t, []string{"read x", "read x"}, answers(one))
	require.Equal(t, []string{"read x", "read x", "confirm y"}, answers(other))
}

func TestEveryMethodOfTheGatewayIsAnOperation(t *testing.T) {
	t.Parallel()
	require.Len(t, payment.Operations(), reflect.TypeFor[payment.Gateway]().NumMethod())
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(payment.Operations()))), len(payment.Operations()))
}

func TestAKeyChangesOnlyWhenItIsSpent(t *testing.T) {
	t.Parallel()
	p := payment.New("alice", uuid.New(), charge(nil), time.Now())
	keys := map[string]bool{}
	for _, operation := range payment.Operations() {
		p.GatewayLog = nil
		key := p.IdempotencyKey(operation)
		require.Equal(t, "millrace:"+p.ID.String()+":"+string(operation), key)
		require.LessOrEqual(t, len(key), 255, "Stripe's limit")
		keys[key] = true
		for _, other := range payment.Operations() {
			p.GatewayLog = payment.Log{{Operation: other, HTTPStatus: 500}, {Operation: other}, {Operation: other, HTTPStatus: 402}}
			require.Equal(t, key, p.IdempotencyKey(operation), "no answer to a key spends it by itself")
			p.GatewayLog = payment.Log{{Operation: other, Spent: true}, {Operation: other}, {Operation: other, Spent: true}}
			if want := key + ":3"; other == operation {
				require.Equal(t, want, p.IdempotencyKey(operation))
			} else {
				require.Equal(t, key, p.IdempotencyKey(operation), "of an operation that is none of %s", other)
			}
		}
	}
	require.Len(t, keys, len(payment.Operations()))
	require.NotEqual(t, p.IdempotencyKey(payment.OpConfirm),
		payment.New("alice", uuid.New(), charge(nil), time.Now()).IdempotencyKey(payment.OpConfirm))
}
