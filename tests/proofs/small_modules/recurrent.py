"""Recurrent layers, embeddings, and sequence models."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small, whole

SEQUENCE = noise(2, 6, 4)


@small(SEQUENCE)
class LastOfLSTM(nn.Module):
    """An LSTM, batch first, and a head on its last step."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.head(y[:, -1])


@small(SEQUENCE)
class HiddenOfLSTM(nn.Module):
    """A bidirectional LSTM of two layers that returns everything."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        return y, h, c


@small(noise(6, 2, 4))
class GRUFirstAxisTime(nn.Module):
    """A GRU of L N C."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 5)

    def forward(self, x):
        y, h = self.gru(x)
        return y + h


@small(SEQUENCE)
class PlainRNN(nn.Module):
    """A plain RNN with ReLU."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 5, nonlinearity="relu", batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


@small(SEQUENCE, noise(1, 2, 5), noise(1, 2, 5))
class GivenState(nn.Module):
    """An LSTM whose state is passed in."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x, h, c):
        y, (h, c) = self.lstm(x, (h, c))
        return y, h, c


@small(SEQUENCE)
class ZeroState(nn.Module):
    """A GRU whose state is torch.zeros of the batch."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 5, batch_first=True)

    def forward(self, x):
        h0 = torch.zeros(1, x.size(0), 5)
        return self.gru(x, h0)[0]


@small(SEQUENCE)
class CellLoop(nn.Module):
    """A loop over time with nn.LSTMCell."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)

    def forward(self, x):
        h = c = x.new_zeros(x.size(0), 5)
        steps = []
        for t in range(x.size(1)):
            h, c = self.cell(x[:, t], (h, c))
            steps.append(h)
        return torch.stack(steps, dim=1)


@small(SEQUENCE)
class GRUCellThrice(nn.Module):
    """nn.GRUCell, called three times with shared weights."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(4, 4)

    def forward(self, x):
        h = x[:, 0]
        for t in range(1, 4):
            h = self.cell(x[:, t], h)
        return h


@small(noise(1, 3, 3, 8, 8))
class ConvLSTM(nn.Module):
    """A convolutional LSTM over three frames."""

    def __init__(self):
        super().__init__()
        self.gates = nn.Conv2d(3 + 4, 16, 3, padding=1)

    def forward(self, video):
        b, steps, _, height, width = video.shape
        h = c = torch.zeros(b, 4, height, width)
        for t in range(steps):
            i, f, o, g = self.gates(torch.cat((video[:, t], h), 1)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


@small(noise(2, 3, 8, 16))
class CRNN(nn.Module):
    """Text recognition: a CNN, squeezed into a sequence, and an LSTM."""

    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d((8, 2)))
        self.rnn, self.fc = nn.LSTM(4, 6, bidirectional=True), nn.Linear(12, 5)

    def forward(self, x):
        y = self.cnn(x).squeeze(2).permute(2, 0, 1)
        return F.log_softmax(self.fc(self.rnn(y)[0]), dim=2)


@small(noise(2, 4, 3, 8, 8))
class FramesTogether(nn.Module):
    """Video: the frames become a batch for a CNN, and a sequence again."""

    def __init__(self):
        super().__init__()
        self.cnn, self.rnn = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.GRU(4, 4, batch_first=True)

    def forward(self, x):
        b, t = x.shape[:2]
        y = self.cnn(x.flatten(0, 1)).mean((2, 3))
        return self.rnn(y.view(b, t, -1))[0]


@small(whole(20, 2, 6))
class Embedded(nn.Module):
    """Integers: an embedding and a 1-d convolution."""

    def __init__(self):
        super().__init__()
        self.embed, self.conv = nn.Embedding(20, 8, padding_idx=0), nn.Conv1d(8, 4, 3)

    def forward(self, tokens):
        return self.conv(self.embed(tokens).transpose(1, 2)).relu().amax(-1)


@small(whole(20, 2, 6))
def embedding_bag():
    """An embedding bag of rows: the mean."""
    return nn.Sequential(nn.EmbeddingBag(20, 8, mode="mean"), nn.Linear(8, 2))


@small(whole(20, 2, 6))
class BagOfSums(nn.Module):
    """An embedding bag of rows: the sum."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(20, 8, mode="sum")

    def forward(self, tokens):
        return self.bag(tokens).tanh()


@small(whole(20, 9), torch.tensor([0, 4, 7]))
class BagWithOffsets(nn.Module):
    """An embedding bag with offsets."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(20, 8)

    def forward(self, tokens, offsets):
        return self.bag(tokens, offsets)


@small(whole(20, 2, 6), whole(2, 2, 6))
class BertEmbeddings(nn.Module):
    """BERT's embeddings: three tables, positions by arange."""

    def __init__(self):
        super().__init__()
        self.word, self.position, self.kind = nn.Embedding(20, 8), nn.Embedding(16, 8), nn.Embedding(2, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, tokens, kinds):
        positions = torch.arange(tokens.size(1), device=tokens.device).unsqueeze(0)
        return self.norm(self.word(tokens) + self.position(positions) + self.kind(kinds))


@small(whole(20, 2, 6))
class TiedEmbedding(nn.Module):
    """A language model whose head is tied to its embedding."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens).relu())


@small(whole(5, 2, 6))
class OneHot(nn.Module):
    """F.one_hot and a linear layer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, classes):
        return self.linear(F.one_hot(classes, 5).float())


@small(noise(2, 3, 16))
class CausalConv(nn.Module):
    """WaveNet: dilated causal convolutions with gates and skips."""

    def __init__(self):
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(3, 3, 2, dilation=2**i) for i in range(3))
        self.gates = nn.ModuleList(nn.Conv1d(3, 3, 2, dilation=2**i) for i in range(3))

    def forward(self, x):
        skip = 0
        for i, (f, g) in enumerate(zip(self.filters, self.gates, strict=True)):
            padded = F.pad(x, (2**i, 0))
            y = torch.tanh(f(padded)) * torch.sigmoid(g(padded))
            skip, x = skip + y, x + y
        return skip


@small(noise(2, 6, 4), noise(2, 4))
class BilinearLayer(nn.Module):
    """nn.Bilinear of a sequence's mean and a second input."""

    def __init__(self):
        super().__init__()
        self.bilinear = nn.Bilinear(4, 4, 3)

    def forward(self, x, y):
        return self.bilinear(x.mean(1), y)
