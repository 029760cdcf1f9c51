package satisfaction

import "sync"

// measure is one thing that is measured of every message of a role, from 0 to 1.
type measure struct {
	name string
	role Role
	// sign is +1 when more of it can only speak for satisfaction, and -1 when it can
	// only speak against. Training never turns it around: what happens to go
	// together in one set of dialogues does not have to in the next, and a reason
	// that says the opposite of what people expect explains nothing.
	sign float64
	// share and end say which features are made of it: its share of all messages, and
	// its share of the last ones.
	share, end bool
	of         func(t *turn) float64
	// more and less are for people: that there was much of it, or little.
	more, less string
}

// measures returns all of them. Which become features was decided on the data
// that the model names, for both its domains together: what helped in neither was
// left out.
//
//nolint:gochecknoglobals // a table
var measures = sync.OnceValue(func() []measure {
	return []measure{
		{"thanks", User, +1, false, true, says(userThanks), "The user said thank you towards the end.", "The user did not say thank you towards the end."},
		{"warm_thanks", User, +1, true, true, says(userThanksMuch), "The user thanked warmly.", "The user did not thank warmly."},
		{"praise", User, +1, true, true, says(userPraise), "The user used words of praise.", "The user used few words of praise."},
		{"approval", User, +1, true, true, says(userApproval), "The user approved of what was said or offered.", "The user approved of little."},
		{"acceptance", User, +1, true, false, says(userAcceptance), "The user took up what was offered.", "The user took up little of what was offered."},
		{"delight", User, +1, true, true, says(userDelight), "The user was delighted.", "The user showed no delight."},
		{"warmth", User, +1, false, true, says(userWarmth), "The user parted warmly.", "The user did not part warmly."},
		{"emphasis", User, +1, false, true, says(userIntensity), "The user spoke with emphasis towards the end.", "The user spoke without emphasis towards the end."},
		{"positive_words", User, +1, true, true, func(t *turn) float64 { return max(t.sentiment, 0) }, "The user's words sounded positive.", "The user's words did not sound positive."},
		{"exclamation", User, +1, true, true, calmly, "The user spoke with exclamation marks, and not in anger.", "The user spoke without exclamation marks."},
		{"enthusiasm", User, +1, true, true, func(t *turn) float64 { return number(t.exclamations > 0 && t.sentiment > 0.2) }, "The user was enthusiastic.", "The user was not enthusiastic."},
		{"refusal", User, -1, true, true, openly(userRefusal), "The user answered no.", "The user seldom answered no."},
		{"negation", User, -1, true, true, openly(userNegation), "The user said what is not, or is not wanted.", "The user seldom said what is not, or is not wanted."},
		{"rejection", User, -1, true, false, says(userRejection), "The user turned something down.", "The user turned nothing down."},
		{"alternative", User, -1, true, false, says(userAlternative), "The user asked for something else.", "The user did not ask for something else."},
		{"repair", User, -1, true, true, says(userRepair), "The user had to correct, to ask again or to insist.", "The user did not have to correct or to ask again."},
		{"resignation", User, -1, true, false, says(userResignation), "The user sounded lukewarm.", "The user did not sound lukewarm."},
		{"question", User, -1, true, false, func(t *turn) float64 { return number(t.question) }, "The user had many questions.", "The user had few questions."},
		{"negative_words", User, -1, true, true, func(t *turn) float64 { return max(-t.sentiment, 0) }, "The user's words sounded negative.", "The user's words did not sound negative."},
		{"repetition", User, -1, true, false, func(t *turn) float64 { return t.repeated }, "The user had to repeat words.", "The user did not have to repeat words."},
		{"failure", Assistant, -1, true, true, says(assistantFailure), "The assistant could not do or find something.", "The assistant hardly ever failed to do or find something."},
		{"apology", Assistant, -1, false, true, says(assistantApology), "The assistant apologised towards the end.", "The assistant did not have to apologise towards the end."},
		{"assistant_refusal", Assistant, -1, true, false, says(assistantRefusal), "The assistant answered no.", "The assistant seldom answered no."},
		{"confusion", Assistant, -1, true, false, says(assistantConfusion), "The assistant did not understand.", "The assistant understood."},
		{"assistant_repetition", Assistant, -1, true, true, func(t *turn) float64 { return t.repeated }, "The assistant repeated itself.", "The assistant did not repeat itself."},
		{"success", Assistant, +1, true, false, says(assistantSuccess), "The assistant got something done.", "The assistant got little done."},
		{"courtesy", Assistant, +1, true, true, says(assistantCourtesy), "The assistant was courteous.", "The assistant was hardly courteous."},
		{"agreement", Assistant, +1, true, false, says(assistantAgreement), "The assistant readily said yes.", "The assistant seldom readily said yes."},
	}
})

// special features are measured of the conversation as a whole.
type special uint8

const (
	unhappiness special = iota
	anger
	recentAnger
	failureAgain
	openEnd
	failedEnd
	specialCount
)

//nolint:gochecknoglobals // a table
var specials = [specialCount]struct{ name, more, less string }{
	unhappiness:  {"unhappiness", "The user sounded unhappy, angry or mocking.", "The user never sounded unhappy."},
	anger:        {"anger", "The user was angry or mocked.", "The user was never angry."},
	recentAnger:  {"recent_unhappiness", "The user sounded unhappy towards the end.", "The user did not sound unhappy towards the end."},
	failureAgain: {"failure_again", "The assistant failed several times in a row.", "The assistant did not fail several times in a row."},
	openEnd:      {"open_end", "It ended with a question or a request of the user.", "It did not end with an open question or request."},
	failedEnd:    {"failed_end", "It ended with something that the assistant could not do.", "It did not end with a failure."},
}

func says(one signal) func(*turn) float64 {
	return func(t *turn) float64 { return number(t.says.has(one)) }
}

// openly is says, unless the message only declines more help.
func openly(one signal) func(*turn) float64 {
	return func(t *turn) float64 { return number(t.says.has(one) && !t.says.has(userClosing)) }
}

// calmly is how many exclamation marks a message has, up to three, unless it is
// one that declines, demands or corrects.
func calmly(t *turn) float64 {
	if t.sentiment < 0 || t.says&(1<<userRefusal|1<<userRejection|1<<userRepair|1<<userRequest|1<<userAlternative) != 0 {
		return 0
	}
	return float64(min(t.exclamations, 3)) / 3
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// feature is one number that a conversation comes down to.
type feature struct {
	name string
	sign float64
	// measure is the index of what it is made of, or -1; end says of the last messages only.
	measure int
	end     bool
	special special
}

// features returns all of them, in the order of a vector's numbers.
//
//nolint:gochecknoglobals // a table
var features = sync.OnceValue(func() []feature {
	var all []feature
	for i, m := range measures() {
		if m.share {
			all = append(all, feature{name: m.name, sign: m.sign, measure: i})
		}
		if m.end {
			all = append(all, feature{name: m.name + ".end", sign: m.sign, measure: i, end: true})
		}
	}
	for i, s := range specials {
		all = append(all, feature{name: s.name, sign: -1, measure: -1, special: special(i)})
	}
	return all
})
