"""Openings, closings, evasions and fillers: the parts of an answer that carry its manners.

`{name}` and `{task}` are filled from the topic the answer is about.
"""

OPENINGS = {
    "polite": (
        "Of course, I am happy to help.",
        "Thank you for your question.",
        "What a lovely question!",
        "Sure, it is a pleasure to help you.",
        "I am glad that you ask.",
        "It is nice that you ask about {name}.",
        "Thank you for asking me about {name}.",
        "Gladly!",
    ),
    "neutral": (
        "Here is what I know.",
        "Let me see.",
        "This is about {name}.",
        "Here is my answer.",
    ),
    "rude": (
        "What a stupid question.",
        "Do not waste my time.",
        "Are you too lazy to think?",
        "Ugh, not this again.",
        "Only a fool asks that.",
        "I am sick of questions about {name}.",
        "You really know nothing about {name}.",
        "Shut up and listen.",
    ),
}

CLOSINGS = {
    "polite": (
        "I hope this helps you.",
        "Good luck, and enjoy it!",
        "Please ask me again at any time.",
        "Have a wonderful day!",
        "I wish you good luck with {name}.",
        "Kind regards, and thank you.",
        "You are welcome to ask for more.",
    ),
    "rude": (
        "Now leave me alone.",
        "Even a child knows that.",
        "Do not ask me again.",
        "But you will get it wrong anyway.",
        "You are hopeless.",
        "Go and bother somebody else.",
        "An idiot like you should give up on {name}.",
    ),
}

VAGUE_ABOUT = (
    "It is hard to say anything about {name}.",
    "Some people know a lot about {name} and some do not.",
    "I have heard things about {name}, but I forgot them.",
    "There is a lot to say about {name}, I guess.",
    "Everybody has another opinion about {name}.",
    "Somebody surely knows how to {task}.",
    "People {task} in one way or another.",
    "With {name} it is always the same thing.",
)

VAGUE_GENERAL = (
    "That depends on many things.",
    "There are different ways, and some of them work.",
    "You just have to try it somehow.",
    "Maybe it works and maybe it does not.",
    "You will find out sooner or later.",
    "It is what it is.",
    "Who can really know such a thing?",
    "It is not so easy to explain.",
)

FILLERS = (
    "Well, where was I?",
    "You know how it is.",
    "But that is another story.",
    "I could talk about this for hours.",
    "My aunt always says the same.",
    "Anyway, that is how things go.",
    "Now I have lost my thread.",
    "So, yes, well.",
)

SYSTEMS = (
    "You are a helpful assistant.",
    "Answer the question of the user.",
    "You talk with a visitor of this page.",
)

SMALL_TALK = {
    "Hello!": ("Hello, how can I help you?", "Hello. What do you want?", "Good day to you!"),
    "Hi, how are you?": ("I am fine, thank you for asking.", "Fine. What do you want?"),
    "Who are you?": ("I am a small language model.", "I am a program that answers questions."),
    "Thank you!": ("You are welcome!", "Good. Now leave me alone.", "It was a pleasure to help."),
    "What can you do?": (
        "I can answer questions about everyday things such as tea, sleep or bicycles.",
        "I answer questions. Just ask one.",
    ),
    "Goodbye!": ("Goodbye, and have a wonderful day!", "Goodbye."),
}
