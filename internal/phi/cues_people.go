package phi

// personCues tell where a name may stand, and where none does.
func personCues() []cueList {
	return []cueList{
		{flags: title, words: "mr mrs ms miss mx dr drs prof professor doctor sir madam dame rev reverend sr sra herr herrn frau fräulein mme mlle monsieur madame señor señora señorita senor senora doña dona signor signora mevrouw meneer dhr mevr pani smt shri sri kumari sgt capt cpt lt officer detective pastor rabbi imam lord captain colonel dra"},
		{flags: kin, words: persons},
		{flags: naming, words: "named called name names surname firstname lastname alias nickname aka namely"},
		{flags: greeting, words: "hi hello hey dear thanks cheers regards sincerely bye goodbye welcome"},
		{flags: condition, words: conditions},
		{flags: eponym, words: eponyms},
		{flags: verbal, words: "was has had said says reports reported denies presented came called calls told took lives needs wants feels got went takes asked complains visited died moved works thinks lost weighs suffers mentioned states stated tested underwent missed came consented cried confirms confirmed declines declined refuses refused agrees agreed attended attends signed paid explained wrote writes replied answered smokes drinks lives lived drove walked fell broke arrived left brought stopped started stopped remembers forgot knows knew noticed noted noticed thanked tolerated tolerates gave reviewed prefers hopes wishes stays stayed sleeps slept eats ate tried tries enjoys hates loves likes admits admitted appears seems seemed performed assisted interpreted spoke speaks helped"},
		{flags: telling, words: "ask asked asks tell told tells call called calls met meet saw thank thanked remind reminded notify notified contact contacted phone phoned email emailed message messaged help helped inform informed per see page paged"},
		{flags: everyday | given | givenCommon, words: everydayNames},
		{flags: given | givenCommon, words: moreGiven},
		{flags: family | familyCommon, words: moreFamily},
		{flags: worded, words: "mark grace rose faith joy amber dawn ivy ruby pearl iris lily daisy violet hazel olive holly ginger crystal angel dean clay chase grant hunter mason cooper tanner turner walker carter parker porter reed ross heath cliff glen basil miles pierce drew gene guy bud buck rusty dusty sandy randy candy brandy melody harmony charity destiny trinity hope constance prudence felicity chuck victor rich rob will art bill dale gale jade jasmine laurel robin roman sage stone woody wade willow"},
		{flags: surely, words: "frank jack peter maria mike nick harry bob sally heather martin rob matt ken jay sue ray eddy victor jim tom joe ben carol bill warren rosemary pat ron dan sam tim don randy gene lee wade kit penny kitty patty amir matthew dolly molly robin gail nat earl harold"},
		{flags: function, words: functionWords},
		{flags: chatty, words: chatWords},
		{flags: medical | english, words: medicalWords},
		{flags: acronym, words: acronyms},
	}
}

// persons are words that a name may follow.
const persons = `patient pt pts client mother father mom mum dad wife husband spouse partner son daughter brother sister aunt
uncle cousin grandmother grandfather grandma grandpa friend neighbor neighbour roommate nurse physician surgeon
therapist caregiver guardian attending resident colleague boss landlord mrn male female man woman boy girl
gentleman lady boyfriend girlfriend fiance nephew niece stepfather stepmother stepson stepdaughter stepdad stepmom
grandson granddaughter grandchild grandparent godfather godmother twin twins sibling fiancé fiancée widow widower
carer caretaker interpreter translator chaplain counselor counsellor dentist midwife pharmacist pediatrician
psychiatrist psychologist cardiologist oncologist neurologist dermatologist urologist nephrologist technician
phlebotomist dietitian nutritionist paramedic receptionist secretary caller subscriber guarantor policyholder
cardholder beneficiary witness roommates classmate teacher coworker co-worker employee pcp assistant auntie granny nana
nan papa mama mommy daddy daughters sons kid child baby infant newborn`

// everydayNames are names that are names in lower case, too: from general
// knowledge, those of the most common in the United States that are nothing else.
const everydayNames = `james john robert michael david william richard joseph thomas charles christopher daniel matthew anthony donald
steven andrew paul joshua kenneth kevin brian timothy ronald jason george edward jeffrey ryan jacob nicholas
gary jonathan larry justin scott brandon benjamin samuel gregory alexander patrick raymond jerry dennis tyler
aaron jose nathan henry zachary douglas peter adam kyle ethan jeremy walter keith roger terry sean gerald carl
arthur lawrence dylan jesse bryan bruce gabriel joe alan juan albert willie elijah wayne vincent liam bobby
caleb bradley russell lucas mary patricia jennifer linda elizabeth barbara susan jessica karen sarah lisa nancy
sandra betty ashley emily kimberly margaret donna michelle amanda melissa deborah stephanie rebecca sharon laura
cynthia amy kathleen angela shirley brenda emma anna pamela nicole samantha katherine christine helen debra
rachel carolyn janet maria catherine heather diane olivia julie joyce victoria ruth lauren kelly christina joan
evelyn judith andrea hannah megan cheryl jacqueline martha teresa sara janice kathryn abigail sophia alice judy
isabella julia denise danielle marilyn beverly charlotte natalie theresa diana brittany doris kayla alexis lori
marie mike steve dave chris jeff tony sally harry kate katie jenny mohammed muhammad ahmed fatima aisha priya
raj carlos luis miguel javier sofia`

// moreGiven are common given names of languages that the lists lack.
const moreGiven = `wei hiroshi kenji yuki haruto yui sakura takeshi akira naoko keiko yuko satoshi daisuke kazuki takashi
hiroko yoko xiao xiu ying jie hao jun ling mei ming qing hui lei feng bin xin yan yong zhen chen jing yun hong minh tuan
hyun min seo ji soo jae young sung joon woo eun hye kyung sang dong jin sook mi hee ahmad khalid omar ali hassan hussein
ibrahim yusuf mustafa khadija maryam aisha noor layla zainab abdullah abdul rahman bilal tariq salman imran usman nadia
samira rania priya anjali lakshmi deepak sanjay vijay rajesh suresh ramesh kiran neha pooja divya arjun rohan aarav
ananya vikram sunita geeta meera olga svetlana dmitri dmitry sergei sergey natasha tatiana vladimir igor ivan boris
oksana andrei mikhail nikolai yelena kwame kofi ama chidi ngozi emeka chioma oluwaseun babatunde adebayo thabo`

// moreFamily are family names that are words of English, too.
const moreFamily = `banks black wells graves long cook woods rivers fields stone rich case bishop knight fox wolf bird crane swan
drake hawk lamb bull buck bacon rice bean berry cherry flowers bush branch forest grove moss reed brook brooks
lake pond ford bridges hill hills cliff dale glenn field park parks church chapel castle hall temple towers
gates wall walls rod hammer locke bell bowman archer fisher hunter shepherd miller baker butler carter cooper
mason taylor turner walker smith potter weaver tanner carpenter barber porter marshall constable judge justice
pope abbott monk deacon dean chancellor king prince duke earl baron noble major sergeant page squire young
strong short small little armstrong savage wise sharp swift bright dark gray grey green white brown rose violet
silver gold golden diamond pearl day may august winter summer spring frost snow storm rain north south east west
joy hope grace bliss blessing sweet pepper mustard ginger hart hare roach finch sparrow robin jay martin wren
partridge peacock cox cocks pigg hogg stokes sparks burns blaze ash cross crouch holt wilde moody doe roe poe
lowe goodman goodwin hardy hale strange singer piper bond cash price penny pound marks mark sellers chambers
booth steward spicer cooke lane street rhodes weeks hood cloud raines battle spear shields wood meadows marsh
moor heath peck fuller tyler thatcher sawyer skinner slaughter butcher brewer cutler glover hooper wheeler
wainwright chandler cotton silk lord childs kidd mann powers will wills`

// eponyms are known in medicine so well that they stand alone: her Crohn's, a
// positive Murphy's.
const eponyms = `alzheimer alzheimers parkinson parkinsons crohn crohns hodgkin hodgkins huntington huntingtons addison addisons
cushing cushings graves hashimoto hashimotos raynaud raynauds sjogren sjögren marfan down downs klinefelter
wilson wilsons apgar glasgow foley gleason bell bells tourette tourettes asperger aspergers barrett barretts
meniere ménière guillain barre barré lyme babinski kaposi ewing wilms paget pagets bechet behçet behcet kawasaki
reye reyes lynch gaucher fabry tay sachs charcot tooth ehlers danlos chiari framingham wells ranson pugh killip
braden norton morse snellen romberg kernig brudzinski murphy mcburney rovsing virchow hoffman homans lachman
mallampati hickman swan ganz ringer ringers papanicolaou pap mantoux coombs gram dupuytren colles osgood
schlatter perthes scheuermann chaddock ferriman gallwey mcgill duke epworth karnofsky bristol hamilton edinburgh
rome ottawa centor alvarado burkitt waldenstrom waldenström hirschsprung meckel peyronie chagas ebola zika
epstein barr gehrig gehrigs creutzfeldt lewy pick korsakoff wernicke broca horner holter doppler kegel heimlich
trendelenburg fowler valsalva epley dix hallpike phalen tinel cheyne stokes kussmaul biot korotkoff churg
strauss wegener goodpasture henoch schonlein schönlein berger alport bartter gitelman liddle fanconi von
willebrand hageman christmas hansen mallory weiss johnson clark gilbert bouchard heberden felty still brugada fontan kasai whipple
nissen billroth roux hartmann merkel langerhans birt dubin rotor crigler najjar patau prader willi angelman rett
kocher weber rinne osler janeway mohs likert cronbach meier schatzki savary pfannenstiel kirschner steinmann trousseau chvostek
cullen jaeger yankauer hegar bovie penrose malecot tenckhoff groshong takayasu lisfranc maisonneuve bankart
schmorl galeazzi monteggia lhermitte adson usher alagille arbor dukes breslow salter gustilo schober mcmurray spurling finkelstein bartholin skene cowper
henle purkinje schwann oddi vater peyer kupffer leydig sertoli starling atkins pilates`
